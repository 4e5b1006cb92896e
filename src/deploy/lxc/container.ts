/**
 * `lxc:NAME`: a container's storage under the name that it has. LXC opens no root through a symlink, so a version comes
 * into service by the one line of the definition that names the root; the rest of the definition is its owner's and
 * stays. Containers that `lxc-copy --snapshot` laid over a version go on naming that very version, whatever the base is
 * switched to, and it stays as long as they do. `NAME/rootfs` is a symlink for people.
 */
import { existsSync, linkSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fromText } from '../../core/bytes.ts';
import { CellarError } from '../../core/errors.ts';
import { writeFileAtomic } from '../../sys/atomic.ts';
import { readableNames, removeIfEmpty } from '../../sys/directory.ts';
import { directoryOf, includesOf, newDefinition, rootfsOf, substitute, withRootfs } from './definition.ts';
import { clonesOf, isLxcRunning, lxcDefaults, lxcPath, readText } from './host.ts';
import { lxcMetadata, metadataFile, type LxcMetadata } from './metadata.ts';
import { changesRoot, prepareRoot } from './root.ts';
import type { Target, TargetDriver, TargetOptions, Workbench } from '../port.ts';
import { settle } from '../path/settle.ts';
import { machineName } from '../path/target-path.ts';
import { discardTree, refuseUsed, stageTree } from '../path/tree-target.ts';
import { usersOf } from '../path/users.ts';
import { versionedPath } from '../path/versioned-path.ts';

export const lxcTarget: TargetDriver = {
  open: openLxc,
};

/** LXC's own mode for what it makes. */
const containerMode = 0o770;
const definitionMode = 0o640;

function openLxc(rest: string, options: TargetOptions): Target {
  const name = machineName('lxc', rest);
  const containers = lxcPath();
  const path = join(containers, name);
  const config = join(path, 'config');
  // The definition decides what is ours and what is not, so the link follows it without asking.
  const link = versionedPath(join(path, 'rootfs'), { force: true });
  const hidden = dirname(link.place('x'));
  const before = join(hidden, 'original.rootfs');
  const place = { name, path };

  const look = (): { active?: string; foreign?: string } => {
    const text = readText(config);
    const rootfs = text === undefined ? undefined : rootfsOf(text);
    const directory = directoryOf(rootfs);
    if (directory !== undefined && dirname(directory) === hidden) return { active: basename(directory) };
    if (rootfs !== undefined && (directory === undefined || readableNames(directory).length > 0))
      return { foreign: `a container on ${rootfs}` };
    return text === undefined && readableNames(link.path).length > 0 && link.look().active === undefined
      ? { foreign: 'files without a definition' }
      : {};
  };
  const users = (): string[] => {
    const found = usersOf([link.path, ...link.places()]);
    return found.length === 0 && isLxcRunning(containers, name) ? ['its monitor'] : found;
  };

  return {
    name: `lxc:${name}`,
    path: link.path,
    writable: options.base !== true,
    seesUsers: true,
    look: async () => ({ ...look(), users: users() }),
    directory() {
      const text = readText(config);
      if (text === undefined) return undefined;
      const rootfs = rootfsOf(text);
      const directory = directoryOf(rootfs);
      if (directory !== undefined && existsSync(directory)) return directory;
      throw new CellarError('E_TARGET_INVALID', {
        details: { target: `lxc:${name}`, problem: `its root, ${rootfs ?? 'none'}, is no directory` },
      });
    },
    async stage(version, bench) {
      if (!existsSync(path)) mkdirSync(path, { recursive: true, mode: containerMode });
      link.prepare();
      const root = link.place(version.id);
      const metadata = await lxcMetadata(version, bench);
      // What the image's metadata asks for inside its root takes a layer to write it to.
      const writable = version.writable || changesRoot(metadata);
      const made = await stageTree(
        { ...version, writable },
        { name: `lxc:${name}`, place: root, options, bench },
      );
      if (metadata !== undefined && version.tree !== undefined && changesRoot(metadata)) {
        using settling = settle(root);
        prepareRoot(root, { entries: bench.entries(version.tree), metadata, place });
        await settling.done(writable);
      }
      stageDefinition(metadata, { root, place, isNew: !existsSync(config) }, bench);
      return made;
    },
    restore: async (id, bench, dry) => await bench.restore(link.place(id), dry),
    async activate(id) {
      const { active, foreign } = look();
      if (foreign !== undefined && !options.force)
        throw new CellarError('E_TARGET_FOREIGN', { details: { path, found: foreign } });
      const root = link.place(id);
      const old = readText(config);
      if (active === undefined && old !== undefined)
        writeFileAtomic(fromText(before), rootfsOf(old) ?? '', { mode: definitionMode });
      if (old === undefined) takeFstab(root, path);
      const text = old ?? readText(`${root}.config`) ?? '';
      if (active !== id)
        writeFileAtomic(fromText(config), withRootfs(text, `dir:${root}`), { mode: modeOf(config) });
      try {
        link.activate(id);
      } catch (error) {
        if (old === undefined) rmSync(config);
        else writeFileAtomic(fromText(config), old, { mode: modeOf(config) });
        throw error;
      }
    },
    async deactivate() {
      const text = readText(config);
      if (look().active !== undefined && text !== undefined) {
        const original = readText(before);
        link.deactivate();
        if (original === undefined)
          for (const file of [config, join(path, 'fstab')]) rmSync(file, { force: true });
        else
          writeFileAtomic(fromText(config), withRootfs(text, original === '' ? undefined : original), {
            mode: modeOf(config),
          });
      }
      rmSync(before, { force: true });
      link.deactivate();
      removeIfEmpty(path);
    },
    tidy: () => link.tidy(),
    async discard(id, bench) {
      const root = link.place(id);
      refuseUsed(root);
      const clones = clonesOf(root, { path: containers, except: name });
      if (clones.length > 0)
        throw new CellarError('E_CHECKOUT_BUSY', {
          details: { path: root },
          hint: `these containers are clones of it: ${clones.join(', ')}`,
        });
      await discardTree(root, `lxc:${name}`, bench);
      for (const suffix of ['config', 'fstab']) rmSync(`${root}.${suffix}`, { force: true });
    },
  };
}

interface DefinitionPlace {
  readonly root: string;
  readonly place: { readonly name: string; readonly path: string };
  /** Nobody has defined the container yet. */
  readonly isNew: boolean;
}

/** The definition that is used if there is none when the version comes into service. */
function stageDefinition(
  metadata: LxcMetadata | undefined,
  { root, place, isNew }: DefinitionPlace,
  bench: Workbench,
): void {
  const fstab = metadata === undefined ? undefined : metadataFile(metadata, 'fstab');
  const text = newDefinition(place, {
    distribution: metadata === undefined ? undefined : metadataFile(metadata, 'config'),
    defaults: lxcDefaults(),
    hasFstab: fstab !== undefined,
  });
  writeFileAtomic(fromText(`${root}.config`), text, { mode: definitionMode });
  if (fstab !== undefined) writeFileAtomic(fromText(`${root}.fstab`), substitute(fstab, place));
  if (!isNew) return;
  const missing = includesOf(text).filter((file) => !existsSync(file));
  if (missing.length > 0)
    bench.events({
      type: 'warning',
      code: 'W_LXC_INCLUDE',
      text: `the definition includes what this machine lacks: ${missing.join(', ')}`,
      hint: 'install the package lxc-templates, or edit the definition',
    });
  const message = metadata === undefined ? undefined : metadataFile(metadata, 'create-message');
  if (message !== undefined) bench.events({ type: 'note', text: message.trim() });
}

function takeFstab(root: string, path: string): void {
  const fstab = join(path, 'fstab');
  if (existsSync(`${root}.fstab`) && !existsSync(fstab)) linkSync(`${root}.fstab`, fstab);
}

function modeOf(file: string): number {
  const stat = lstatSync(file, { throwIfNoEntry: false });
  return stat?.isFile() === true ? stat.mode & 0o777 : definitionMode;
}
