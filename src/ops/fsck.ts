/**
 * `cellar fsck`: everything hashed, every damaged thing named with the images it affects; `--repair` mends what can
 * be derived again and brings damaged objects in anew from `--from` or from where the image came from.
 */
import { isCellarError } from '../core/errors.ts';
import { checkStore } from '../store/fsck/check.ts';
import { rebuildDatabase } from '../store/fsck/rebuild.ts';
import type { Damage, FsckReport } from '../store/fsck/report.ts';
import { openStore } from '../store/store.ts';
import type { Context } from './context.ts';
import { kindOfLocal } from './ingest/local.ts';
import { mend } from './fsck/repair.ts';

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
  // Told before everything is hashed, and where nothing is damaged as well.
  if (options.from !== undefined) kindOfLocal({ source: options.from });
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

function result(report: FsckReport, left: readonly Damage[]): FsckResult {
  const still = new Set(left.map(({ kind, id }) => `${kind} ${id}`));
  const damaged = report.damaged.map((damage) => ({
    ...damage,
    repaired: !still.has(`${damage.kind} ${damage.id}`),
  }));
  return { checked: report.checked, damaged, repaired: damaged.filter(({ repaired }) => repaired).length };
}
