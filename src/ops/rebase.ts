/**
 * The middle of an upgrade: what an instance holds now is read as a commit reads it, and put together with the newer base
 * path by path. Nothing is switched here, and in a dry run nothing is stored.
 */
import { realpathSync } from 'node:fs';
import { fromText, toBytes, toText, type ByteString } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import type { Provenance } from '../core/record.ts';
import type { Engine } from '../deploy/engine.ts';
import type { Target } from '../deploy/port.ts';
import { findCheckout, identityOf, type CheckoutRow } from '../store/checkouts.ts';
import type { DeploymentRow, NestedFile } from '../store/deployments.ts';
import { leaseTree } from '../store/lease.ts';
import type { Store } from '../store/store.ts';
import type { Transaction } from '../store/transaction.ts';
import { readTree } from '../store/trees.ts';
import { diffTrees } from '../tree/diff.ts';
import { mergeThree, type Side, type ThreeWay } from '../tree/three-way.ts';
import { inTransaction } from './gc/bound.ts';
import { readEntries } from './commit/entries.ts';
import type { Context } from './context.ts';
import { nestInto, withNested, type ResolvedNesting } from './deploy/nested.ts';
import type { TreeImage } from './resolve-tree.ts';

/** What an upgrade moves from where to where. */
export interface Rebase {
  readonly engine: Engine;
  /** Whose entry counts where both sides changed a path; without it that is an error. */
  readonly take?: Side | undefined;
  readonly active: DeploymentRow;
  readonly base: TreeImage;
  readonly next: TreeImage;
  /** What is nested in the newer base. */
  readonly nested: readonly ResolvedNesting[];
  readonly reference: string;
}

export interface Rebased {
  readonly tree: Digest;
  /** Absent in a dry run. */
  readonly image?: Digest;
  /** Paths in which it differs from its base. */
  readonly kept: number;
  /** Conflicts that `take` decided. */
  readonly decided: number;
  readonly nested: readonly NestedFile[];
}

/** What is stored has no name yet, so it is kept from gc until `stack` is disposed. */
type Keeping = { readonly dryRun: true } | { readonly dryRun: false; readonly stack: DisposableStack };

/**
 * The instance as it is now on the newer base, stored unless it is a dry run.
 * @throws E_UPGRADE_CONFLICT, E_CHECKOUT_NOT_FOUND, and what commits throw
 */
export async function rebase(context: Context, change: Rebase, keeping: Keeping): Promise<Rebased> {
  const { dryRun } = keeping;
  const work = async (transaction: Transaction): Promise<Rebased> =>
    await rebaseIn(context, transaction, change, keeping);
  return await inTransaction(context, change.engine.store, work, { dryRun });
}

async function rebaseIn(
  context: Context,
  transaction: Transaction,
  change: Rebase,
  keeping: Keeping,
): Promise<Rebased> {
  const { engine, base, next, active } = change;
  const { store, target } = engine;
  const { directory, row } = instanceAt(store, target);
  const request = { store, directory, row, exclude: () => false };
  const { entries: mine } = await readEntries(context, transaction, request);
  const made = await nestInto(
    transaction,
    { entries: readTree(store, next.tree), nested: change.nested },
    engine.bench,
  );
  const newer = made.entries;
  const merged = mergeThree({
    ...{ base: withNested(readTree(store, base.tree), active.nested), mine, next: newer },
    ...(change.take === undefined ? {} : { take: change.take }),
  });
  if (change.take === undefined) refuseConflicts(change, merged);
  const { added, removed, changed } = diffTrees(newer, merged.entries);
  const counts = {
    kept: added.length + removed.length + changed.length,
    decided: merged.conflicts.length,
    nested: made.files,
  };
  if (keeping.dryRun) return { tree: (await transaction.preview(merged)).tree, ...counts };
  const { content, image } = await transaction.commit({
    ...{ entries: merged.entries, platform: active.platform, labels: next.record.labels },
    provenance: provenanceOf(change),
    ...{ references: [], action: 'commit' },
  });
  keeping.stack.use(await leaseTree(store, content, context.signal));
  return { tree: content, image, ...counts };
}

/** Number of conflicts told of; beyond them it is their count that helps. */
const shown = 20;

function refuseConflicts({ engine, reference }: Rebase, { conflicts }: ThreeWay): void {
  if (conflicts.length === 0) return;
  const first = conflicts.slice(0, shown).map(toText);
  const more = conflicts.length > shown ? ` and ${conflicts.length - shown} more` : '';
  throw new CellarError('E_UPGRADE_CONFLICT', {
    details: {
      ...{ target: engine.target.name, reference, count: conflicts.length },
      ...{ paths: first.join(', ') + more, conflicts: first },
    },
  });
}

/** @throws E_CHECKOUT_NOT_FOUND where what lies there is no checkout of ours: what it changed cannot be known */
function instanceAt(store: Store, target: Target): { directory: ByteString; row: CheckoutRow } {
  const path = target.directory?.();
  if (path === undefined) throw missing(store, target.path ?? target.name);
  const directory = realpathSync(toBytes(fromText(path)), { encoding: 'latin1' });
  const row = findCheckout(store, directory);
  const isOurs = row?.identity === undefined || row.identity === identityOf(directory);
  if (row === undefined || row.releasing === true || !isOurs) throw missing(store, toText(directory));
  return { directory, row };
}

function missing(store: Store, path: string): CellarError {
  return new CellarError('E_CHECKOUT_NOT_FOUND', {
    details: { path, store: store.root },
    hint: "'cellar deploy' puts another version in service there",
  });
}

/** Nobody has verified what was changed there. */
export function provenanceOf({ engine, next }: Rebase): Provenance {
  return { via: 'commit', source: engine.target.name, verified: 'no', parent: next.digest };
}
