/**
 * `cellar fsck`: everything hashed, every damaged thing named with the images it affects; `--repair` mends what can
 * be derived again and brings damaged objects in anew from `--from` or from where the image came from.
 */
import { existsSync } from 'node:fs';
import { CellarError, isCellarError } from '../core/errors.ts';
import { checkStore } from '../store/fsck/check.ts';
import { rebuildDatabase } from '../store/fsck/rebuild.ts';
import { mendInPlace } from '../store/fsck/mend.ts';
import type { Damage, FsckReport } from '../store/fsck/report.ts';
import { inStore } from '../store/layout.ts';
import { listReferences } from '../store/references.ts';
import { listImages } from '../store/resolve.ts';
import { openStore, type Store } from '../store/store.ts';
import { beginTransaction } from '../store/transaction.ts';
import { listUpstream } from '../store/upstream.ts';
import { fetchFromStore } from './fetch-from-store.ts';
import { ingest, sourceKind } from './import.ts';
import type { Context } from './context.ts';
import { sourceOf } from './source-of.ts';

export interface FsckOptions {
  readonly repair?: boolean;
  /** A tar file, a directory, or another store. */
  readonly from?: string | undefined;
}

export interface FsckResult extends FsckReport {
  readonly damaged: readonly (Damage & { readonly repaired: boolean })[];
  /** How many of the damaged things are whole again. */
  readonly repaired: number;
}

/** Damage is a result, not an error; the caller turns what is left of it into exit code 12. */
export async function fsck(context: Context, options: FsckOptions): Promise<FsckResult> {
  const first = await inspect(context);
  if (options.repair !== true || first.damaged.length === 0)
    return result(first, options.repair === true ? [] : first.damaged);
  if (first.damaged.some(({ kind }) => kind === 'database')) {
    const { rows, unreadable } = rebuildDatabase(context.storeRoot);
    context.events({
      type: 'note',
      text: `rebuilt the database: ${rows} rows from the journal, ${unreadable} unreadable lines`,
    });
  }
  // A damaged database hides the rest: look again once it is back.
  const found = first.damaged.some(({ kind }) => kind === 'database') ? await inspect(context) : first;
  await mend(context, found, options.from);
  const last = await inspect(context);
  const all = found === first ? first : { ...found, damaged: [...first.damaged, ...found.damaged] };
  return result(all, last.damaged);
}

async function inspect(context: Context): Promise<FsckReport> {
  const { signal, events } = context;
  try {
    using store = openStore(context.storeRoot);
    return await checkStore(store, { signal, events });
  } catch (error) {
    if (!isCellarError(error, 'E_DATABASE_DAMAGED')) throw error;
    const damage: Damage = { kind: 'database', id: 'cellar.db', problem: error.message, images: [] };
    return { checked: { rows: 0, trees: 0, objects: 0, bytes: 0 }, damaged: [damage] };
  }
}

async function mend(context: Context, report: FsckReport, from: string | undefined): Promise<void> {
  using store = openStore(context.storeRoot);
  if (store.readOnly) throw new CellarError('E_STORE_READ_ONLY', { details: { store: store.root } });
  mendInPlace(store, report.damaged);
  const needsContent = report.damaged.filter(({ kind }) => kind === 'object' || kind === 'manifest');
  if (needsContent.length === 0) return;
  for (const source of from === undefined ? likelySources(store, needsContent) : [from]) {
    await bring(context, store, source, needsContent);
  }
  if (from === undefined) await bringFromUpstream(context, store, needsContent);
}

/** From the sources of affected references. One that cannot be asked leaves its damage to the report. */
async function bringFromUpstream(context: Context, store: Store, damaged: readonly Damage[]): Promise<void> {
  const affected = new Set(damaged.flatMap(({ images }) => images));
  for (const { reference } of listUpstream(store)) {
    const options = affected.has(reference) ? sourceOf(context, reference) : undefined;
    if (options === undefined) continue;
    const { refetch } = await import('./pull/refetch.ts');
    try {
      await using transaction = await beginTransaction(store, { signal: context.signal });
      const entries = await refetch(context, { store, reference, options, transaction });
      const mended = await transaction.mend(entries);
      context.events({ type: 'note', text: `${options.source}: mended ${mended.objects.size} object(s)` });
    } catch (error) {
      if (!isCellarError(error) || error.code === 'E_CANCELLED') throw error;
      const hint = error.hint === undefined ? {} : { hint: error.hint };
      context.events({ type: 'warning', code: error.code, text: error.message, ...hint });
    }
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

function result(report: FsckReport, left: readonly Damage[]): FsckResult {
  const still = new Set(left.map(({ kind, id }) => `${kind} ${id}`));
  const damaged = report.damaged.map((damage) => ({
    ...damage,
    repaired: !still.has(`${damage.kind} ${damage.id}`),
  }));
  return { checked: report.checked, damaged, repaired: damaged.filter(({ repaired }) => repaired).length };
}
