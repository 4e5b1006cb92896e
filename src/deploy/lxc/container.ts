/**
 * `lxc:NAME`: a container's storage under the name that it has. LXC opens no root through a symlink, so a version comes
 * into service by the one line of the definition that names the root; the rest of the definition is its owner's and
 * stays. Containers that `lxc-copy --snapshot` laid over a version go on naming that very version, whatever the base is
 * switched to, and it stays as long as they do. `NAME/rootfs` is a symlink for people.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fromText } from '../../core/bytes.ts';
import { CellarError } from '../../core/errors.ts';
import { writeFileAtomic } from '../../sys/atomic.ts';
import { readableNames, removeIfEmpty } from '../../sys/directory.ts';
import { settle } from '../path/settle.ts';
import { machineName } from '../path/target-path.ts';
import { discardTree, refuseUsed, rehearseStage, stageTree } from '../path/tree-target.ts';
import { usersOf } from '../path/users.ts';
import { versionedPath, type VersionedPath } from '../path/versioned-path.ts';
import type { Target, TargetDriver, TargetOptions, TargetState, Version, Workbench } from '../port.ts';
import { directoryOf, rootfsOf, withRootfs, type LxcPlace } from './definition.ts';
import { clonesOf, isLxcRunning, lxcPath, readText } from './host.ts';
import { lxcMetadata } from './metadata.ts';
import { changesRoot, prepareRoot } from './root.ts';
import {
  definitionMode,
  discardDefinition,
  stageDefinition,
  stagedDefinition,
  takeFstab,
  writeDefinition,
} from './staged-definition.ts';

export const lxcTarget: TargetDriver = {
  open: openLxc,
};

/** LXC's own mode for what it makes. */
const containerMode = 0o770;

function openLxc(rest: string, options: TargetOptions): Target {
  const container = containerOf(machineName('lxc', rest));
  const { link } = container;
  return {
    name: container.target,
    path: link.path,
    writable: options.base !== true,
    seesUsers: true,
    look: async () => ({ ...look(container), users: users(container) }),
    directory: () => rootDirectory(container),
    rehearse: async (version, bench) =>
      await rehearseStage(version, { name: container.target, place: link.place(version.id), options, bench }),
    stage: async (version, bench) => await stage(container, version, { options, bench }),
    restore: async (id, bench, dry) => await bench.restore(link.place(id), dry),
    activate: async (id) => activate(container, id, options),
    deactivate: async () => deactivate(container),
    tidy: () => link.tidy(),
    discard: async (id, bench) => await discard(container, id, bench),
  };
}

interface Container extends LxcPlace {
  readonly target: string;
  /** Directory of all containers. */
  readonly containers: string;
  /** The file that defines it. */
  readonly config: string;
  /** `NAME/rootfs`. */
  readonly link: VersionedPath;
  /** Directory of the versions. */
  readonly versions: string;
  /** Keeps what the definition named before the first version. */
  readonly before: string;
}

function containerOf(name: string): Container {
  const containers = lxcPath();
  const path = join(containers, name);
  // The definition decides what is ours and what is not, so the link follows it without asking.
  const link = versionedPath(join(path, 'rootfs'), { force: true });
  const versions = dirname(link.place('x'));
  return {
    ...{ name, target: `lxc:${name}`, containers, path, config: join(path, 'config') },
    ...{ link, versions, before: join(versions, 'original.rootfs') },
  };
}

function look({ config, link, versions }: Container): Pick<TargetState, 'active' | 'foreign'> {
  const text = readText(config);
  const rootfs = text === undefined ? undefined : rootfsOf(text);
  const directory = directoryOf(rootfs);
  if (directory !== undefined && dirname(directory) === versions) return { active: basename(directory) };
  if (rootfs !== undefined && (directory === undefined || readableNames(directory).length > 0))
    return { foreign: `a container on ${rootfs}` };
  return text === undefined && readableNames(link.path).length > 0 && link.look().active === undefined
    ? { foreign: 'files without a definition' }
    : {};
}

function users({ name, containers, link }: Container): string[] {
  const found = usersOf([link.path, ...link.places()]);
  return found.length === 0 && isLxcRunning(containers, name) ? ['its monitor'] : found;
}

function rootDirectory({ config, target }: Container): string | undefined {
  const text = readText(config);
  if (text === undefined) return undefined;
  const rootfs = rootfsOf(text);
  const directory = directoryOf(rootfs);
  if (directory !== undefined && existsSync(directory)) return directory;
  throw new CellarError('E_TARGET_INVALID', {
    details: { target, problem: `its root, ${rootfs ?? 'none'}, is no directory` },
  });
}

async function stage(
  container: Container,
  version: Version,
  { options, bench }: { readonly options: TargetOptions; readonly bench: Workbench },
): Promise<{ method: string }> {
  const { target, path, config, link } = container;
  if (!existsSync(path)) mkdirSync(path, { recursive: true, mode: containerMode });
  link.prepare();
  const root = link.place(version.id);
  const metadata = await lxcMetadata(version, bench);
  // What the image's metadata asks for inside its root takes a layer to write it to.
  const writable = version.writable || changesRoot(metadata);
  const made = await stageTree({ ...version, writable }, { name: target, place: root, options, bench });
  if (metadata !== undefined && version.tree !== undefined && changesRoot(metadata)) {
    using settling = settle(root);
    prepareRoot(root, { entries: bench.entries(version.tree), metadata, place: container });
    await settling.done(writable);
  }
  stageDefinition(metadata, { root, place: container, isNew: !existsSync(config) }, bench);
  return made;
}

function activate(container: Container, id: string, { force }: TargetOptions): void {
  const { path, config, link, before } = container;
  const { active, foreign } = look(container);
  if (foreign !== undefined && !force)
    throw new CellarError('E_TARGET_FOREIGN', { details: { path, found: foreign } });
  const root = link.place(id);
  const old = readText(config);
  if (active === undefined && old !== undefined)
    writeFileAtomic(fromText(before), rootfsOf(old) ?? '', { mode: definitionMode });
  if (old === undefined) takeFstab(root, path);
  const text = old ?? stagedDefinition(root);
  if (active !== id) writeDefinition(config, withRootfs(text, `dir:${root}`));
  try {
    link.activate(id);
  } catch (error) {
    if (old === undefined) rmSync(config);
    else writeDefinition(config, old);
    throw error;
  }
}

function deactivate(container: Container): void {
  const { path, config, link, before } = container;
  const text = readText(config);
  if (look(container).active !== undefined && text !== undefined) {
    const original = readText(before);
    link.deactivate();
    if (original === undefined)
      for (const file of [config, join(path, 'fstab')]) rmSync(file, { force: true });
    else writeDefinition(config, withRootfs(text, original === '' ? undefined : original));
  }
  rmSync(before, { force: true });
  link.deactivate();
  removeIfEmpty(path);
}

async function discard(
  { name, target, containers, link }: Container,
  id: string,
  bench: Workbench,
): Promise<void> {
  const root = link.place(id);
  refuseUsed(root);
  const clones = clonesOf(root, { path: containers, except: name });
  if (clones.length > 0)
    throw new CellarError('E_CHECKOUT_BUSY', {
      details: { path: root },
      hint: `these containers are clones of it: ${clones.join(', ')}`,
    });
  await discardTree(root, target, bench);
  discardDefinition(root);
}
