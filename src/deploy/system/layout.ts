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
  const link = join(systems, 'default');
  const original = join(hiddenHome, 'original');
  const at = (label: string): string => join(systems, label);
  const hidden = (id: string): string => join(hiddenHome, id);

  const labels = (): string[] => namesIn(systems).filter((name) => isDirectory(at(name)));
  const read = (label: string): SystemVersion | undefined => {
    try {
      return JSON.parse(readFileSync(join(at(label), 'version.json'), 'utf8')) as SystemVersion;
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
      throw error;
    }
  };
  const inService = (): { label?: string; version?: SystemVersion; foreign?: string } => {
    const stat = lstatSync(link, { throwIfNoEntry: false });
    if (stat === undefined) return {};
    if (!stat.isSymbolicLink()) return { foreign: 'something that is no symlink' };
    const label = readlinkSync(link);
    if (label.includes('/')) return { foreign: `a symlink to ${label}` };
    const version = read(label);
    return version === undefined ? { label, foreign: `the system ${label}` } : { label, version };
  };
  const synced = (): void => {
    for (const directory of [systems, hiddenHome]) if (existsSync(directory)) fsyncDir(fromText(directory));
  };

  const switchTo = (label: string): void => {
    const { label: now, foreign } = inService();
    if (now === label) return;
    mkdirSync(hiddenHome, { recursive: true, mode: 0o700 });
    if (foreign !== undefined && now !== undefined && !existsSync(original))
      writeFileAtomic(fromText(original), now);
    const next = hidden(`next-${randomBytes(4).toString('hex')}`);
    symlinkSync(label, next);
    try {
      renameSync(next, link);
    } catch (error) {
      rmSync(next, { force: true });
      throw error;
    }
    synced();
  };

  return {
    path,
    state: join(path, 'state'),
    ...{ at, hidden, labels, read, inService },
    note: (name) => join(hiddenHome, name),
    usualLabel: (id) => (labels().length === 0 ? factory : `v${id.slice(0, id.indexOf('-'))}`),
    find: (id) =>
      labels()
        .map(read)
        .find((version) => version?.id === id),
    publish(id, label) {
      mkdirSync(systems, { recursive: true, mode: 0o755 });
      try {
        renameNoReplace(fromText(hidden(id)), fromText(at(label)));
      } catch (error) {
        if (isErrno(error, 'EEXIST')) throw taken(path, label);
        throw error;
      }
      synced();
    },
    hide(id, label) {
      mkdirSync(hiddenHome, { recursive: true, mode: 0o700 });
      renameNoReplace(fromText(at(label)), fromText(hidden(id)));
      synced();
    },
    switchTo,
    restore() {
      if (inService().version !== undefined) {
        const before = existsSync(original) ? readFileSync(original, 'utf8') : undefined;
        if (before !== undefined && isDirectory(at(before))) switchTo(before);
        else rmSync(link, { force: true });
      }
      rmSync(original, { force: true });
      synced();
      for (const directory of [systems, hiddenHome]) removeIfEmpty(directory);
    },
  };
}

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
