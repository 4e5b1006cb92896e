/**
 * System integration: scripts that a composed tree itself brings are run in it, in order, as `ldconfig` or
 * `systemd-sysusers` have to be once all parts are there. They get no network, and the result is a tree of its own.
 */
import { readdirSync } from 'node:fs';
import { resolveInside, statInside } from '../build/inside.ts';
import { commandEnvironment, defaultTimeout, openRunner } from '../build/runner.ts';
import { requireRoot } from '../build/sandbox.ts';
import { fromText, toBytes, toText } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import type { NewRecord } from '../store/commit-rows.ts';
import { leaseTree } from '../store/lease.ts';
import type { Store } from '../store/store.ts';
import { beginTransaction, type Transaction } from '../store/transaction.ts';
import type { Entry } from '../tree/entry.ts';
import { inTransaction, makeRoomForManifests } from './gc/bound.ts';
import type { Context } from './context.ts';
import { openWorkspace } from './workspace.ts';

export interface Integration {
  readonly entries: readonly Entry[];
  /** Of the tree; its regular files are run, sorted by name. */
  readonly directory: string;
  readonly log: string;
  readonly image: NewRecord;
  /** Holds the result until it has a name. */
  readonly stack: AsyncDisposableStack;
}

/**
 * @returns the entries afterwards, stored but not named
 * @throws E_NOT_ALLOWED, E_PATH_NOT_FOUND, E_BUILD_COMMAND, E_BUILD_TIMEOUT, E_STORE_FULL
 */
export async function integrate(
  context: Context,
  store: Store,
  { entries, directory, log, image, stack }: Integration,
): Promise<readonly Entry[]> {
  requireRoot();
  const before = await storeUnnamed(context, store, { image, entries });
  stack.use(await leaseTree(store, before, context.signal));
  await using workspace = await openWorkspace(context, store, before);
  {
    using runner = openRunner({
      ...{ root: workspace.root, log, network: false, timeout: defaultTimeout },
      environment: commandEnvironment({}),
      ...{ signal: context.signal, events: context.events },
    });
    for (const script of scriptsIn(workspace.root, directory)) await runner.inside('integration', [script]);
  }
  const commit = async (transaction: Transaction): Promise<readonly Entry[]> => {
    const after = await workspace.read(transaction);
    const { content } = await transaction.commit({ ...image, references: [], entries: after });
    stack.use(await leaseTree(store, content, context.signal));
    return after;
  };
  return await inTransaction(context, store, commit, {
    workspace: workspace.directory,
    except: image.references,
  });
}

async function storeUnnamed(
  context: Context,
  store: Store,
  { image, entries }: Pick<Integration, 'image' | 'entries'>,
): Promise<Digest> {
  await makeRoomForManifests(context, store, [{ entries, references: image.references }]);
  const { signal } = context;
  await using transaction = await beginTransaction(store, { signal });
  return (await transaction.commit({ ...image, references: [], entries })).content;
}

function scriptsIn(root: string, directory: string): string[] {
  const place = resolveInside(root, fromText(directory), { followLast: true });
  if (statInside(place)?.isDirectory() !== true)
    throw new CellarError('E_PATH_NOT_FOUND', {
      details: { path: directory, reference: 'the composed tree' },
      hint: 'name a directory that one of the parts has',
    });
  const inside = place.slice(root.length);
  return readdirSync(toBytes(place), { encoding: 'latin1' })
    .filter((name) => statInside(`${place}/${name}`)?.isFile() === true)
    .sort()
    .map((name) => toText(`${inside}/${name}`));
}
