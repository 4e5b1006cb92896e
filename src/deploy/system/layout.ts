/**
 * Where versions of a system lie on btrfs, as Baserock laid them out, so that boot loaders with fixed paths find them:
 *
 *   systems/<label>/orig          read-only subvolume: the tree as it was delivered
 *   systems/<label>/run           writable snapshot of it, which boots
 *   systems/<label>/kernel, initramfs, dtb
 *   systems/<label>/version.json  whose it is; deployment.json beside it is for people
 *   systems/default               symlink to the label in service
 *   state/<name>                  subvolumes that all versions share
 *   .systems.cellar/<id>          a version that is being made, or taken away
 *
 * A version appears under its label by one rename when it is complete, and disappears by one before it is taken apart.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { fromText } from '../../core/bytes.ts';
import { CellarError } from '../../core/errors.ts';
import type { Digest } from '../../core/digest.ts';
import { fsyncDir, writeFileAtomic } from '../../sys/atomic.ts';
import { namesIn, removeIfEmpty } from '../../sys/directory.ts';
import { isErrno } from '../../sys/errno.ts';
import { renameNoReplace } from '../../sys/rename.ts';
import { factory } from './parameters.ts';

export interface SystemVersion {
  readonly id: string;
  readonly label: string;
  readonly tree: Digest;
  /** Milliseconds since the epoch, a moment of `inodeMoment`: `orig` was whole and right, and read-only from then on. */
  readonly sealed: number;
  readonly keepFactory: boolean;
  /** Its `run` is to be the default subvolume while it is in service. */
  readonly setDefault: boolean;
  /** SHA-256 of /etc/fstab in `run` where we completed it and nobody else had changed it. */
  readonly fstab?: Digest;
  /** Paths of the configuration that both the user and the new version had changed. */
  readonly conflicts: readonly string[];
}

export interface SystemLayout {
  readonly path: string;
  readonly state: string;
  /** A version under its label, which need not exist. */
  at(label: string): string;
  /** A version that nobody sees. */
  hidden(id: string): string;
  /** Beside hidden versions: what is to be remembered of the time before the first one. */
  note(name: string): string;
  /** All labels, other tools' too. */
  labels(): string[];
  read(label: string): SystemVersion | undefined;
  find(id: string): SystemVersion | undefined;
  /** The first of all is the factory's; later ones have the number that `deployments` shows. */
  usualLabel(id: string): string;
  /** The label in service, and the version if it is ours. */
  inService(): { label?: string; version?: SystemVersion; foreign?: string };
  /** @throws E_SYSTEM_LABEL */
  publish(id: string, label: string): void;
  hide(id: string, label: string): void;
  switchTo(label: string): void;
  /** The default goes, or is again what it was before the first version. */
  restore(): void;
}

export function systemLayout(path: string): SystemLayout {
  const systems = join(path, 'systems');
  const hiddenHome = join(path, '.systems.cellar');
  const places: Places = {
    ...{ path, systems, hiddenHome },
    ...{ link: join(systems, 'default'), original: join(hiddenHome, 'original') },
  };
  const labels = (): string[] => labelsIn(places);
  return {
    path,
    state: join(path, 'state'),
    at: (label) => join(systems, label),
    hidden: (id) => join(hiddenHome, id),
    note: (name) => join(hiddenHome, name),
    labels,
    read: (label) => read(places, label),
    find: (id) =>
      labels()
        .map((label) => read(places, label))
        .find((version) => version?.id === id),
    usualLabel: (id) => (labels().length === 0 ? factory : `v${id.slice(0, id.indexOf('-'))}`),
    inService: () => inService(places),
    publish: (id, label) => publish(places, id, label),
    hide(id, label) {
      mkdirSync(hiddenHome, { recursive: true, mode: 0o700 });
      renameNoReplace(fromText(join(systems, label)), fromText(join(hiddenHome, id)));
      sync(places);
    },
    switchTo: (label) => switchTo(places, label),
    restore: () => restore(places),
  };
}

interface Places {
  readonly path: string;
  readonly systems: string;
  readonly hiddenHome: string;
  /** Names the label in service. */
  readonly link: string;
  /** Keeps the label that was in service before the first version. */
  readonly original: string;
}

function labelsIn({ systems }: Places): string[] {
  return namesIn(systems).filter((name) => isDirectory(join(systems, name)));
}

function read({ systems }: Places, label: string): SystemVersion | undefined {
  try {
    return JSON.parse(readFileSync(join(systems, label, 'version.json'), 'utf8')) as SystemVersion;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

function inService(places: Places): ReturnType<SystemLayout['inService']> {
  const stat = lstatSync(places.link, { throwIfNoEntry: false });
  if (stat === undefined) return {};
  if (!stat.isSymbolicLink()) return { foreign: 'something that is no symlink' };
  const label = readlinkSync(places.link);
  if (label.includes('/')) return { foreign: `a symlink to ${label}` };
  const version = read(places, label);
  return version === undefined ? { label, foreign: `the system ${label}` } : { label, version };
}

function publish(places: Places, id: string, label: string): void {
  const { path, systems, hiddenHome } = places;
  mkdirSync(systems, { recursive: true, mode: 0o755 });
  try {
    renameNoReplace(fromText(join(hiddenHome, id)), fromText(join(systems, label)));
  } catch (error) {
    if (isErrno(error, 'EEXIST')) throw taken(path, label);
    throw error;
  }
  sync(places);
}

function switchTo(places: Places, label: string): void {
  const { hiddenHome, link, original } = places;
  const { label: now, foreign } = inService(places);
  if (now === label) return;
  mkdirSync(hiddenHome, { recursive: true, mode: 0o700 });
  if (foreign !== undefined && now !== undefined && !existsSync(original))
    writeFileAtomic(fromText(original), now);
  const next = join(hiddenHome, `next-${randomBytes(4).toString('hex')}`);
  symlinkSync(label, next);
  try {
    renameSync(next, link);
  } catch (error) {
    rmSync(next, { force: true });
    throw error;
  }
  sync(places);
}

function restore(places: Places): void {
  const { systems, hiddenHome, link, original } = places;
  if (inService(places).version !== undefined) {
    const before = existsSync(original) ? readFileSync(original, 'utf8') : undefined;
    if (before !== undefined && isDirectory(join(systems, before))) switchTo(places, before);
    else rmSync(link, { force: true });
  }
  rmSync(original, { force: true });
  sync(places);
  for (const directory of [systems, hiddenHome]) removeIfEmpty(directory);
}

function sync({ systems, hiddenHome }: Places): void {
  for (const directory of [systems, hiddenHome]) if (existsSync(directory)) fsyncDir(fromText(directory));
}

/** `version`: whose place it is; absent where no deployment made it. */
export function taken(path: string, label: string, version?: SystemVersion): CellarError {
  return new CellarError('E_SYSTEM_LABEL', {
    details: {
      ...{ target: `system:${path}`, label },
      tree: version === undefined ? 'a system that no deployment made' : `tree ${version.tree.slice(0, 12)}`,
    },
  });
}

function isDirectory(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
