/**
 * The repair of `cellar fsck`: what is derived is derived again, and damaged content comes in anew, from `--from`, from
 * where the affected images came from, from their upstream, or from the layers that a tree was merged from. Content
 * is named by its digest, so only the very bytes that were lost can take their place.
 */
import { existsSync } from 'node:fs';
import type { Digest } from '../../core/digest.ts';
import { isCellarError } from '../../core/errors.ts';
import { asWarning } from '../../core/events.ts';
import { count } from '../../core/quantity.ts';
import { redact } from '../../core/redact.ts';
import { mendInPlace } from '../../store/fsck/mend.ts';
import type { Damage, FsckReport } from '../../store/fsck/report.ts';
import { inStore } from '../../store/layout.ts';
import { listReferences } from '../../store/references.ts';
import { listImages } from '../../store/resolve.ts';
import { openStore, requireWritable, type Store } from '../../store/store.ts';
import { beginTransaction, type Transaction } from '../../store/transaction.ts';
import { treeObjects } from '../../store/trees.ts';
import { listUpstream } from '../../store/upstream.ts';
import { explained } from '../../sys/any-error.ts';
import type { Context } from '../context.ts';
import { fetchFromStore } from './fetch-from-store.ts';
import { ingestLocal } from '../ingest/local.ts';
import { sourceOf } from '../source-of.ts';

/** What cannot be mended stays for the next report. @throws E_STORE_READ_ONLY */
export async function mend(context: Context, report: FsckReport, from: string | undefined): Promise<void> {
  using store = openStore(context.storeRoot);
  requireWritable(store);
  mendInPlace(store, report.damaged);
  const needsContent = report.damaged.filter(({ kind }) => kind === 'object' || kind === 'manifest');
  if (needsContent.length === 0) return;
  const mending: Mending = {
    context,
    store,
    left: new Map(needsContent.map((damage) => [damage.id, damage])),
  };
  for (const source of from === undefined ? likelySources(mending) : [from]) {
    if (mending.left.size > 0) await bring(mending, source);
  }
  if (from === undefined) await bringFromUpstream(mending);
  await mergeAgain(mending);
}

interface Mending {
  readonly context: Context;
  readonly store: Store;
  /** By digest: once it is empty nobody is asked for more. */
  readonly left: Map<string, Damage>;
}

async function mendWith(
  { context, left }: Mending,
  source: string,
  work: () => ReturnType<Transaction['mend']>,
): Promise<void> {
  const { objects, tree } = await work();
  for (const digest of [...objects, ...(tree === undefined ? [] : [tree])]) left.delete(digest);
  const text = `${source}: mended ${count(objects.size, 'object')}${tree === undefined ? '' : ' and a manifest'}`;
  context.events({ type: 'note', text });
}

/** Trees that were merged from layers are merged again, where the layers are whole. */
async function mergeAgain(mending: Mending): Promise<void> {
  const { context, store, left } = mending;
  const ids = new Set(left.keys());
  for (const { key: manifest, value } of store.rows.list<{ tree: Digest }>('unpacked')) {
    if (!ids.has(value.tree) && !namesAny(store, value.tree, ids)) continue;
    const { mergeLayers } = await import('../oci-tree.ts');
    await tolerantly(context, async () => {
      await using transaction = await beginTransaction(store, { signal: context.signal });
      const entries = await mergeLayers(context, transaction, manifest);
      await mendWith(mending, `layers of ${manifest.slice(0, 12)}`, () => transaction.mend(entries));
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
  } catch (thrown) {
    const error = explained(thrown);
    if (!isCellarError(error) || error.code === 'E_CANCELLED') throw error;
    events(asWarning(error));
  }
}

/** From the sources of affected references. One that cannot be asked leaves its damage to the report. */
async function bringFromUpstream(mending: Mending): Promise<void> {
  const { context, store } = mending;
  for (const { reference } of listUpstream(store)) {
    const options = affectedBy(mending).has(reference) ? sourceOf(context, reference) : undefined;
    if (options === undefined) continue;
    const { refetch } = await import('../pull/refetch.ts');
    await tolerantly(context, async () => {
      await using transaction = await beginTransaction(store, { signal: context.signal });
      const entries = await refetch(context, { store, reference, options, transaction });
      await mendWith(mending, redact(options.source), () => transaction.mend(entries));
    });
  }
}

/** Bring content in again, publishing only what is damaged. */
async function bring(mending: Mending, source: string): Promise<void> {
  const { context, store } = mending;
  const damaged = [...mending.left.values()];
  await using transaction = await beginTransaction(store, { signal: context.signal });
  const objects = damaged.filter(({ kind }) => kind === 'object').map(({ id }) => id);
  const entries = existsSync(inStore(source, 'format'))
    ? await fetchFromStore(transaction, source, {
        objects,
        trees: damaged.filter(({ kind }) => kind === 'manifest').map(({ id }) => id),
      })
    : await ingestLocal(context, transaction, { source });
  await mendWith(mending, source, () => transaction.mend(entries));
}

/** References and images that still lack something. */
function affectedBy({ left }: Mending): ReadonlySet<string> {
  return new Set([...left.values()].flatMap(({ images }) => images));
}

/** Where the affected images came from, as far as that is on this machine. */
function likelySources(mending: Mending): string[] {
  const { store } = mending;
  const affected = affectedBy(mending);
  const references = new Map(listReferences(store).map(({ reference, image }) => [image, reference]));
  const sources = listImages(store)
    .filter(({ digest }) => affected.has(digest) || affected.has(references.get(digest) ?? ''))
    .map(({ record }) => record.provenance.source)
    .filter((source) => source.startsWith('/') && existsSync(source));
  return [...new Set(sources)];
}
