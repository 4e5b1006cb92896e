/**
 * The repair of `cellar fsck`: what is derived is derived again, and damaged content comes in anew, from `--from`, from
 * where the affected images came from, from their upstream, or from the layers that a tree was merged from. Content
 * is named by its digest, so only the very bytes that were lost can take their place.
 */
import { existsSync } from 'node:fs';
import type { Digest } from '../core/digest.ts';
import { isCellarError } from '../core/errors.ts';
import { redact } from '../core/redact.ts';
import { mendInPlace } from '../store/fsck/mend.ts';
import type { Damage, FsckReport } from '../store/fsck/report.ts';
import { inStore } from '../store/layout.ts';
import { listReferences } from '../store/references.ts';
import { listImages } from '../store/resolve.ts';
import { openStore, requireWritable, type Store } from '../store/store.ts';
import { beginTransaction } from '../store/transaction.ts';
import { treeObjects } from '../store/trees.ts';
import { listUpstream } from '../store/upstream.ts';
import type { Context } from './context.ts';
import { fetchFromStore } from './fetch-from-store.ts';
import { ingest, sourceKind } from './import.ts';
import { sourceOf } from './source-of.ts';

/** What cannot be mended stays for the next report. @throws E_STORE_READ_ONLY */
export async function mend(context: Context, report: FsckReport, from: string | undefined): Promise<void> {
  using store = openStore(context.storeRoot);
  requireWritable(store);
  mendInPlace(store, report.damaged);
  const needsContent = report.damaged.filter(({ kind }) => kind === 'object' || kind === 'manifest');
  if (needsContent.length === 0) return;
  for (const source of from === undefined ? likelySources(store, needsContent) : [from]) {
    await bring(context, store, source, needsContent);
  }
  if (from === undefined) await bringFromUpstream(context, store, needsContent);
  await mergeAgain(context, store, needsContent);
}

/** Trees that were merged from layers are merged again, where the layers are whole. */
async function mergeAgain(context: Context, store: Store, damaged: readonly Damage[]): Promise<void> {
  const ids = new Set(damaged.map(({ id }) => id));
  for (const { key: manifest, value } of store.rows.list<{ tree: Digest }>('unpacked')) {
    if (!ids.has(value.tree) && !namesAny(store, value.tree, ids)) continue;
    const { mergeLayers } = await import('./oci-tree.ts');
    await tolerantly(context, async () => {
      await using transaction = await beginTransaction(store, { signal: context.signal });
      const entries = await mergeLayers(context, transaction, manifest);
      const mended = await transaction.mend(entries);
      const text = `layers of ${manifest.slice(0, 12)}: mended ${mended.objects.size} object(s)`;
      context.events({ type: 'note', text });
    });
  }
}

function namesAny(store: Store, tree: Digest, objects: ReadonlySet<string>): boolean {
  try {
    return treeObjects(store, tree).some((object) => objects.has(object));
  } catch (error) {
    if (isCellarError(error)) return true;
    throw error;
  }
}

/** What cannot be mended by one way may be by another, and else stays in the report. */
async function tolerantly({ events }: Context, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isCellarError(error) || error.code === 'E_CANCELLED') throw error;
    const hint = error.hint === undefined ? {} : { hint: error.hint };
    events({ type: 'warning', code: error.code, text: error.message, ...hint });
  }
}

/** From the sources of affected references. One that cannot be asked leaves its damage to the report. */
async function bringFromUpstream(context: Context, store: Store, damaged: readonly Damage[]): Promise<void> {
  const affected = new Set(damaged.flatMap(({ images }) => images));
  for (const { reference } of listUpstream(store)) {
    const options = affected.has(reference) ? sourceOf(context, reference) : undefined;
    if (options === undefined) continue;
    const { refetch } = await import('./pull/refetch.ts');
    await tolerantly(context, async () => {
      await using transaction = await beginTransaction(store, { signal: context.signal });
      const entries = await refetch(context, { store, reference, options, transaction });
      const mended = await transaction.mend(entries);
      const text = `${redact(options.source)}: mended ${mended.objects.size} object(s)`;
      context.events({ type: 'note', text });
    });
  }
}

/** Bring content in again, publishing only what is damaged. */
async function bring(
  context: Context,
  store: Store,
  source: string,
  damaged: readonly Damage[],
): Promise<void> {
  await using transaction = await beginTransaction(store, { signal: context.signal });
  const objects = damaged.filter(({ kind }) => kind === 'object').map(({ id }) => id);
  const entries = existsSync(inStore(source, 'format'))
    ? await fetchFromStore(transaction, source, {
        objects,
        trees: damaged.filter(({ kind }) => kind === 'manifest').map(({ id }) => id),
      })
    : await ingest(context, transaction, sourceKind({ source, sha256: undefined }), { source });
  const mended = await transaction.mend(entries);
  context.events({
    type: 'note',
    text: `${source}: mended ${mended.objects.size} object(s)${mended.tree === undefined ? '' : ' and a manifest'}`,
  });
}

/** Where the affected images came from, as far as that is on this machine. */
function likelySources(store: Store, damaged: readonly Damage[]): string[] {
  const affected = new Set(damaged.flatMap(({ images }) => images));
  const references = new Map(listReferences(store).map(({ reference, image }) => [image, reference]));
  const sources = listImages(store)
    .filter(({ digest }) => affected.has(digest) || affected.has(references.get(digest) ?? ''))
    .map(({ record }) => record.provenance.source)
    .filter((source) => source.startsWith('/') && existsSync(source));
  return [...new Set(sources)];
}
