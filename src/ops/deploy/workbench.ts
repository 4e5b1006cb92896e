/**
 * What deployments borrow from the floors below: checkouts, content, archives, and a private directory. What only some
 * targets borrow is loaded when they do.
 */
import { basename } from 'node:path';
import { CellarError, isCellarError } from '../../core/errors.ts';
import { resolveTarget } from '../../checkout/target.ts';
import { fromText, toText } from '../../core/bytes.ts';
import type { Digest } from '../../core/digest.ts';
import type { RecordInside, Workbench } from '../../deploy/port.ts';
import { findCheckout, listCheckouts, type CheckoutRow } from '../../store/checkouts.ts';
import { refuseDamaged } from '../../store/damaged.ts';
import { createStaging } from '../../store/staging.ts';
import type { Store } from '../../store/store.ts';
import { readTree, treeObjects } from '../../store/trees.ts';
import { checkoutTree, rehearseTree } from '../checkout.ts';
import type { Context } from '../context.ts';
import { objectChunks } from '../object-chunks.ts';
import { releaseCheckout } from '../release.ts';
import type { TargetFlight } from './flight.ts';
import { writeRecord } from './tree-record.ts';

/** `flight` hears of the handlers' processes, where there are handlers. */
export function openWorkbench(
  context: Context,
  store: Store,
  flight?: TargetFlight,
): Workbench & AsyncDisposable {
  const { signal, events } = context;
  const staging = createStaging(store.root);
  return {
    signal,
    events,
    scratch: staging.directory,
    ...(flight === undefined ? {} : { child: (pid) => flight.child(pid) }),
    async checkout(tree, directory, { writable, deployment, method, quota, subpath, record }) {
      const made = await checkoutTree(context, store, {
        ...{ tree, directory, writable, deployment, method, quota, subpath },
        record: record === undefined ? undefined : placeOf(record),
      });
      if (record !== undefined && record.of === undefined)
        writeRecord(fromText(directory), record.path, record.text);
      // With the place of its volumes, so that a later version is made there, too.
      return { method: method?.startsWith(`${made.method}:`) === true ? method : made.method };
    },
    rehearse: async (tree, directory, { writable, method, quota, subpath }) =>
      await rehearseTree(context, store, { tree, directory, writable, method, quota, subpath }),
    async release(directory, deployment) {
      const row = checkoutIn(store, directory, deployment);
      if (row === undefined) return;
      const { released } = await releaseCheckout(store, { directory: toText(row.path), force: true });
      if (!released)
        throw new CellarError('E_CHECKOUT_BUSY', {
          details: { path: directory, lingers: true },
          hint: 'a process with mounts of its own still sees it',
        });
    },
    async restore(directory, { dryRun }) {
      const { bringBack } = await import('../mount.ts');
      return await bringBack(context, store, { directory, dryRun });
    },
    async write(tree, directory, { from }) {
      const { writeTree } = await import('../../checkout/write-tree.ts');
      await writeTree({
        ...{ store, tree, from, signal, events, staging: staging.directory },
        directory: fromText(directory),
      });
    },
    async differs(directory, entries, { since }) {
      const { firstDifference } = await import('../../checkout/verify/directory.ts');
      return await firstDifference(fromText(directory), entries, { since, signal });
    },
    record: (directory, { path, text }) => writeRecord(fromText(directory), path, text),
    holds: (tree) => store.rows.get('tree', tree) !== undefined,
    entries: (tree: Digest) => readTree(store, tree),
    object: (digest) => objectChunks(store, digest, signal),
    tar: (tree) => tarOf(context, store, tree),
    async [Symbol.asyncDispose]() {
      staging[Symbol.dispose]();
    },
  };
}

function placeOf({ path, of }: RecordInside): CheckoutRow['record'] {
  return { path, ...(of === undefined ? {} : { of }) };
}

async function* tarOf(
  { events, signal }: Pick<Context, 'events' | 'signal'>,
  store: Store,
  tree: Digest,
): AsyncGenerator<Buffer> {
  refuseDamaged(store, () => treeObjects(store, tree));
  const { openEgress } = await import('../../store/egress/stream.ts');
  const { tarStream } = await import('../export/tar-stream.ts');
  await using egress = openEgress(store, { signal });
  const archive = tarStream(store, egress, tree);
  const step = 'pack';
  events({ type: 'step', step, label: 'packing the tree', unit: 'bytes', total: archive.estimate });
  let done = 0;
  for await (const { bytes } of archive.chunks) {
    yield bytes;
    events({ type: 'progress', step, done: (done += bytes.length) });
  }
  events({ type: 'step-end', step });
}

function checkoutIn(
  store: Store,
  directory: string,
  deployment: string | undefined,
): CheckoutRow | undefined {
  const id = fromText(basename(directory));
  const named =
    deployment === undefined
      ? undefined
      : listCheckouts(store).find((row) => row.deployment === deployment && row.path.endsWith(`/${id}`));
  if (named !== undefined) return named;
  const there = checkoutAt(store, directory);
  return deployment === undefined || there?.deployment === undefined ? there : undefined;
}

function checkoutAt(store: Store, directory: string): CheckoutRow | undefined {
  try {
    return findCheckout(store, resolveTarget(directory));
  } catch (error) {
    if (isCellarError(error, 'E_SOURCE_NOT_FOUND')) return undefined;
    throw error;
  }
}
