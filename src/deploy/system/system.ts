/**
 * `system:PATH`: versions of a whole system beside one another on btrfs, each under a label, with directories that they
 * share; see layout.ts. The next boot is switched by one symlink (and the default subvolume, if asked), so what
 * runs goes on running on its own version, and no version is ever written over.
 */
import { existsSync, readdirSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fromText } from '../../core/bytes.ts';
import { CellarError } from '../../core/errors.ts';
import { removeTree } from '../../store/remove-tree.ts';
import { writeFileAtomic } from '../../sys/atomic.ts';
import { removeIfEmpty } from '../../sys/directory.ts';
import { filesystemOf } from '../../sys/filesystem.ts';
import { isSubvolume } from '../../sys/subvolume.ts';
import { defaultSubvolume, setDefaultSubvolume, subvolumeId } from './btrfs-program.ts';
import type { Target, TargetDriver, TargetOptions, TargetState, Version, Workbench } from '../port.ts';
import { stageSystem } from './stage.ts';
import { systemLayout, taken, type SystemLayout, type SystemVersion } from './layout.ts';
import { factory, systemParameters } from './parameters.ts';
import { absolutePath } from '../path/target-path.ts';
import { refuseUsed } from '../path/tree-target.ts';

export const systemTarget: TargetDriver = {
  open: openSystem,
};

function openSystem(rest: string, options: TargetOptions): Target {
  const path = absolutePath('system', rest);
  const name = `system:${path}`;
  if (/[,"\\\s]/.test(path))
    throw invalid(name, 'its path goes into mount options, which hold no such character');
  const layout = systemLayout(path);
  // What is not mounted cannot be cleaned, and is not to be forgotten.
  const requireThere = (): void => {
    if (!options.force) requireBtrfs(name, path);
  };

  return {
    name,
    path: join(path, 'systems/default/run'),
    writable: true,
    async look() {
      requireBtrfs(name, path);
      return look(layout);
    },
    directory: () => directoryInService(layout),
    admit: (version) => admit(layout, version),
    keeps: (id) => {
      const version = layout.find(id);
      return version?.label === factory && (layout.inService().version?.keepFactory ?? true);
    },
    stage: async (version, bench) => await stageSystem(layout, version, bench),
    async activate(id, bench) {
      const version = layout.find(id);
      if (version === undefined) throw invalid(name, `its version ${id} is gone`);
      await activate(layout, version, { force: options.force, bench });
    },
    async deactivate(bench) {
      requireThere();
      await deactivate(layout, bench);
    },
    async discard(id, bench) {
      requireThere();
      await discard(layout, id, bench);
    },
  };
}

function look(layout: SystemLayout): TargetState {
  const { version, foreign } = layout.inService();
  const isStale = version !== undefined && !isWhole(layout, version.label);
  return {
    ...(version === undefined ? {} : { active: version.id }),
    ...(foreign === undefined ? {} : { foreign }),
    ...(isStale ? { stale: true } : {}),
    users: [],
  };
}

function directoryInService(layout: SystemLayout): string | undefined {
  const { label } = layout.inService();
  if (label === undefined) return undefined;
  const run = join(layout.at(label), 'run');
  return existsSync(run) ? run : undefined;
}

/** @throws E_SYSTEM_LABEL */
function admit(
  layout: SystemLayout,
  { id, tree, parameters }: Pick<Version, 'id' | 'tree' | 'parameters'>,
): string | undefined {
  const { label = layout.usualLabel(id) } = systemParameters(parameters);
  const version = layout.read(label);
  if (version !== undefined && version.tree === tree && isWhole(layout, label)) return version.id;
  if (version !== undefined || existsSync(layout.at(label))) throw taken(layout.path, label, version);
  const other = layout.find(id);
  if (other !== undefined) throw taken(layout.path, other.label, other);
  return undefined;
}

async function activate(
  layout: SystemLayout,
  { label, setDefault }: SystemVersion,
  { force, bench }: { readonly force: boolean; readonly bench: Workbench },
): Promise<void> {
  const now = layout.inService();
  if (now.foreign !== undefined && (now.label === undefined || !force))
    throw new CellarError('E_TARGET_FOREIGN', {
      details: { path: join(layout.path, 'systems/default'), found: now.foreign },
    });
  layout.switchTo(label);
  if (existsSync(layout.note(originalDefault)) || setDefault) await followDefault(layout, label, bench);
}

async function deactivate(layout: SystemLayout, { signal }: Workbench): Promise<void> {
  const note = layout.note(originalDefault);
  if (existsSync(note)) {
    await setDefaultSubvolume(readFileSync(note, 'utf8').trim(), layout.path, signal);
    removeTree(fromText(note));
  }
  layout.restore();
}

async function discard(layout: SystemLayout, id: string, bench: Workbench): Promise<void> {
  await takeApart(layout.hidden(id));
  const version = layout.find(id);
  if (version !== undefined) {
    await refuseBooted(layout, version.label, bench);
    layout.hide(id, version.label);
    await takeApart(layout.hidden(id));
  }
  for (const directory of [layout.note('.'), join(layout.path, 'systems')]) removeIfEmpty(directory);
}

/** Names the default subvolume from before the first version that became it. */
const originalDefault = 'original-subvolume';

async function followDefault(layout: SystemLayout, label: string, { signal }: Workbench): Promise<void> {
  const note = layout.note(originalDefault);
  if (!existsSync(note)) writeFileAtomic(fromText(note), `${await defaultSubvolume(layout.path, signal)}\n`);
  await setDefaultSubvolume(await subvolumeId(join(layout.at(label), 'run'), signal), layout.path, signal);
}

/** What runs, or would boot, is not taken away. @throws E_CHECKOUT_BUSY */
async function refuseBooted(layout: SystemLayout, label: string, { signal }: Workbench): Promise<void> {
  const run = join(layout.at(label), 'run');
  if (!existsSync(run)) return;
  refuseUsed(run);
  if (!isSubvolume(fromText(run))) return;
  if ((await subvolumeId(run, signal)) === (await defaultSubvolume(layout.path, signal)))
    throw new CellarError('E_CHECKOUT_BUSY', {
      details: { path: run },
      hint: 'it is the default subvolume of its file system: btrfs subvolume set-default',
    });
}

/** Complete or not. A subvolume goes as one. */
async function takeApart(directory: string): Promise<void> {
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory)) removeTree(fromText(join(directory, name)));
  rmdirSync(directory);
}

function isWhole(layout: SystemLayout, label: string): boolean {
  return ['orig', 'run'].every((name) => isSubvolume(fromText(join(layout.at(label), name))));
}

/** @throws E_TARGET_INVALID */
function requireBtrfs(name: string, path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw invalid(name, 'there is no such directory');
  const { type } = filesystemOf(fromText(path));
  if (type !== 'btrfs')
    throw invalid(name, `it lies on ${type}, and versions of a system are subvolumes of btrfs`);
}

function invalid(target: string, problem: string): CellarError {
  return new CellarError('E_TARGET_INVALID', { details: { target, problem } });
}
