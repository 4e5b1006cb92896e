/**
 * A version of a system, complete before anybody sees it. What the version in service and the new one have in common is
 * neither copied nor read: `orig` begins as a snapshot of the old `orig`, and only what differs is written.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fromText, toText } from '../../core/bytes.ts';
import type { Digest } from '../../core/digest.ts';
import { CellarError, isCellarError } from '../../core/errors.ts';
import { count } from '../../core/quantity.ts';
import { removeTree } from '../../store/remove-tree.ts';
import { writeFileAtomic } from '../../sys/atomic.ts';
import { openDirectory } from '../../sys/descriptor.ts';
import { inodeMoment } from '../../sys/inode-clock.ts';
import { isSubvolume } from '../../sys/subvolume.ts';
import { syncfs } from '../../sys/syncfs.ts';
import { btrfs } from './btrfs-program.ts';
import { besideSuffix, syncConfig, type SyncedConfig } from './config-sync.ts';
import type { Version, Workbench } from '../port.ts';
import { copyBootFiles, findBootFiles } from './boot.ts';
import type { SystemLayout, SystemVersion } from './layout.ts';
import { systemParameters } from './parameters.ts';
import { hasSameFstab, isAsCompleted, shareState } from './state.ts';
import { requireTree } from '../version-kind.ts';

/** @throws E_NOT_A_TREE, E_NOT_ALLOWED, E_SYSTEM_LABEL, E_SYSTEM_DIFFERS, and what writing a tree can meet */
export async function stageSystem(
  layout: SystemLayout,
  version: Version,
  bench: Workbench,
): Promise<{ method: string }> {
  const tree = requireTree(version, `system:${layout.path}`);
  requireRoot();
  const parameters = systemParameters(version.parameters);
  const label = parameters.label ?? layout.usualLabel(version.id);
  if (parameters.label === undefined) bench.events({ type: 'note', text: `its label is ${label}` });
  const directory = layout.hidden(version.id);
  const bootFiles = findBootFiles(bench.entries(tree), parameters, version);
  const { signal } = bench;
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  using filesystem = openDirectory(fromText(layout.path));
  await writeOrig(layout, { directory, tree, bench });
  const [orig, run] = [join(directory, 'orig'), join(directory, 'run')];
  await btrfs(['property', 'set', '-ts', orig, 'ro', 'true'], signal);
  const sealed = inodeMoment();
  await btrfs(['subvolume', 'snapshot', orig, run], signal);
  const synced = parameters.configSync
    ? await bringConfig(layout, { directory, bench })
    : { carried: 0, conflicts: [] };
  const isOursToComplete = hasSameFstab(orig, run);
  const fstab = await shareState({ layout, directory, names: parameters.state, bench });
  await copyBootFiles(directory, bootFiles, signal);
  const { recordInside, deploymentRecord } = version;
  if (recordInside !== undefined && recordInside.of === undefined)
    bench.record(run, { ...recordInside, text: deploymentRecord });
  const described: SystemVersion = {
    ...{ id: version.id, label, tree, sealed, conflicts: synced.conflicts },
    ...{ keepFactory: parameters.keepFactory, setDefault: parameters.setDefault },
    ...(fstab !== undefined && isOursToComplete ? { fstab } : {}),
  };
  writeFileAtomic(fromText(join(directory, 'deployment.json')), deploymentRecord);
  writeFileAtomic(fromText(join(directory, 'version.json')), `${JSON.stringify(described, undefined, 2)}\n`);
  syncfs(filesystem.fd);
  layout.publish(version.id, label);
  return { method: 'btrfs' };
}

interface Staging {
  readonly directory: string;
  readonly bench: Workbench;
}

/** The tree, checked path by path after it was written. @throws E_SYSTEM_DIFFERS */
async function writeOrig(
  layout: SystemLayout,
  { directory, tree, bench }: Staging & { readonly tree: Digest },
): Promise<void> {
  const orig = join(directory, 'orig');
  const entries = bench.entries(tree);
  const old = layout.inService().version;
  if (old !== undefined && bench.holds(old.tree)) {
    await btrfs(['subvolume', 'snapshot', join(layout.at(old.label), 'orig'), orig], bench.signal);
    const different = await updated(old);
    if (different === undefined) return;
    bench.events({
      type: 'warning',
      code: 'W_SYSTEM_CHANGED',
      text: `${different} of ${join(layout.at(old.label), 'orig')} is not as it was delivered: the whole tree is written anew`,
    });
    removeTree(fromText(orig));
  }
  await btrfs(['subvolume', 'create', orig], bench.signal);
  await bench.write(tree, orig, {});
  const different = await bench.differs(orig, entries, { since: 0 });
  if (different !== undefined)
    throw new CellarError('E_SYSTEM_DIFFERS', { details: { path: toText(different), tree } });

  async function updated({ tree: from, sealed }: SystemVersion): Promise<string | undefined> {
    try {
      await bench.write(tree, orig, { from });
    } catch (error) {
      // What was meant to be there is not, or is something else.
      if (!isCellarError(error, 'E_IO')) throw error;
      return 'something';
    }
    const path = await bench.differs(orig, entries, { since: sealed });
    return path === undefined ? undefined : toText(path);
  }
}

async function bringConfig(layout: SystemLayout, { directory, bench }: Staging): Promise<SyncedConfig> {
  const { label, version } = layout.inService();
  const old = label === undefined ? undefined : layout.at(label);
  if (old === undefined || !['orig', 'run'].every((name) => existsSync(join(old, name))))
    return { carried: 0, conflicts: [] };
  // What runs there may be writing, and may be somebody who puts symlinks in the way: this is a moment of it.
  const moment = join(directory, 'moment');
  const isMoment = isSubvolume(fromText(join(old, 'run')));
  if (isMoment) await btrfs(['subvolume', 'snapshot', '-r', join(old, 'run'), moment], bench.signal);
  const oldRun = isMoment ? moment : join(old, 'run');
  const synced = syncConfig({
    ...{ oldOrig: join(old, 'orig'), oldRun },
    ...{ newOrig: join(directory, 'orig'), newRun: join(directory, 'run') },
    ours: new Set(isAsCompleted(oldRun, version?.fstab) ? ['/fstab'] : []),
    signal: bench.signal,
  });
  if (isMoment) removeTree(fromText(moment));
  const { events } = bench;
  if (synced.carried > 0)
    events({
      type: 'note',
      text: `brought over from ${label}: ${count(synced.carried, 'change')} under /etc`,
    });
  for (const path of synced.conflicts)
    events({
      ...{ type: 'warning', code: 'W_CONFIG_CONFLICT' },
      text: `${path} was changed by hand and by the new version: yours stays`,
      hint: `the new version's is ${path}${besideSuffix}`,
    });
  return synced;
}

function requireRoot(): void {
  if (process.geteuid?.() === 0) return;
  throw new CellarError('E_NOT_ALLOWED', {
    details: {
      operation: 'making a version of a system',
      problem: 'only root sets owners and deletes subvolumes',
    },
  });
}
