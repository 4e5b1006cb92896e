/** Any target that is a tree at a path: versions lie side by side, and a symlink names the one in service. */
import { chmodSync, chownSync, existsSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fromText } from '../../core/bytes.ts';
import { CellarError } from '../../core/errors.ts';
import { writeFileAtomic } from '../../sys/atomic.ts';
import type { CheckoutWishes, Target, TargetOptions, Version, Workbench } from '../port.ts';
import { settle } from './settle.ts';
import { requireTree } from '../version-kind.ts';
import { usersOf } from './users.ts';
import { versionedPath } from './versioned-path.ts';
import { nearestDirectory, requireWay } from './way.ts';

export interface TreeTargetSpec {
  /** Canonical `kind:rest`. */
  readonly name: string;
  readonly path: string;
  readonly writable: boolean;
  /** Whether what runs there has it as its root, and so can be found. */
  readonly seesUsers: boolean;
  readonly hiddenName?: string;
}

export function treeAt(spec: TreeTargetSpec, options: TargetOptions): Target {
  const { name, path, writable, seesUsers, hiddenName } = spec;
  const versions = versionedPath(path, {
    force: options.force,
    ...(hiddenName === undefined ? {} : { hiddenName }),
  });
  return {
    name,
    path,
    writable,
    ...(seesUsers ? { seesUsers } : {}),
    look: async () => ({
      ...versions.look(),
      users: seesUsers ? usersOf([path, ...versions.places()]) : [],
    }),
    directory: () => (existsSync(path) ? path : undefined),
    rehearse: async (version, bench) =>
      await rehearseStage(version, { name, place: versions.place(version.id), options, bench }),
    async stage(version, bench) {
      nearestDirectory(path, name);
      versions.prepare();
      return await stageTree(version, { name, place: versions.place(version.id), options, bench });
    },
    restore: async (id, bench, dry) => await bench.restore(versions.place(id), dry),
    activate: async (id) => versions.activate(id),
    deactivate: async () => versions.deactivate(),
    tidy: () => versions.tidy(),
    async discard(id, bench) {
      const place = versions.place(id);
      if (seesUsers) refuseUsed(place);
      await discardTree(place, name, bench);
    },
  };
}

interface Staging {
  /** Of the target. */
  readonly name: string;
  readonly place: string;
  readonly options: TargetOptions;
  readonly bench: Workbench;
}

/** A version's tree in the directory `place`, and its record beside it. @throws E_NOT_A_TREE and what checkouts throw */
export async function stageTree(
  version: Version,
  { name, place, options, bench }: Staging,
): Promise<{ method: string }> {
  const { writable, deploymentRecord, recordInside } = version;
  const tree = requireTree(version, name);
  using settling = settle(place);
  const { method } = await bench.checkout(tree, place, {
    ...wishes(options),
    writable,
    deployment: name,
    ...(recordInside === undefined ? {} : { record: { ...recordInside, text: deploymentRecord } }),
  });
  if (options.mode !== undefined && writable) chmodSync(place, options.mode);
  if (options.owner !== undefined && writable) chownSync(place, options.owner.uid, options.owner.gid);
  await settling.done(writable);
  writeFileAtomic(fromText(`${place}.json`), deploymentRecord);
  return { method };
}

/** What {@link stageTree} would refuse. Where the directory of `place` is still to be made, it is tried above that. */
export async function rehearseStage(
  version: Version,
  { name, place, options, bench }: Staging,
): Promise<void> {
  const directory = join(requireWay(place, name), basename(place));
  await bench.rehearse(requireTree(version, name), directory, {
    ...wishes(options),
    writable: version.writable,
  });
}

function wishes({ method, quota }: TargetOptions): Pick<CheckoutWishes, 'method' | 'quota'> {
  return { ...(method === undefined ? {} : { method }), ...(quota === undefined ? {} : { quota }) };
}

/** `name` is that of the target. */
export async function discardTree(place: string, name: string, bench: Workbench): Promise<void> {
  await bench.release(place, name);
  rmSync(`${place}.json`, { force: true });
}

/** A directory that is the root of a running machine cannot be taken away, not even when it is out of service. */
export function refuseUsed(place: string): void {
  if (usersOf([place]).length > 0) throw new CellarError('E_CHECKOUT_BUSY', { details: { path: place } });
}
