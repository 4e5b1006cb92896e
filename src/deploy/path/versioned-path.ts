/**
 * A path that is switched in one step: versions lie side by side in a hidden directory beside it, and the path is a
 * symlink to one of them, replaced by rename(2). Readers see the old version or the new one; whoever has opened the
 * directory before keeps the old one until he closes it.
 */
import {
  chmodSync,
  existsSync,
  lstatSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { fromText } from '../../core/bytes.ts';
import { CellarError } from '../../core/errors.ts';
import { fsyncDir } from '../../sys/atomic.ts';
import { readableNames, removeIfEmpty, makeDirectory } from '../../sys/directory.ts';
import { mountsAt } from '../../sys/mountinfo.ts';
import { renameExchange } from '../../sys/rename.ts';
import type { TargetState } from '../port.ts';

export interface VersionedPath {
  readonly path: string;
  /** Where a version lies. */
  place(id: string): string;
  /** The version that the path names; `foreign` says what lies there instead. */
  look(): Pick<TargetState, 'active' | 'foreign' | 'fixed'>;
  /** Where all versions lie, those left by a crash included. */
  places(): string[];
  /** Make the hidden directory. */
  prepare(): void;
  activate(id: string): void;
  /** What was there before the first version comes back, else nothing is left. */
  deactivate(): void;
  /** Take away what a killed switch left. */
  tidy(): void;
}

export interface VersionedPathOptions {
  readonly force: boolean;
  /** Name of the directory of versions. Default `.NAME.cellar`. */
  readonly hiddenName?: string;
}

/** @throws E_TARGET_FOREIGN from `activate`, unless `force`; what lay there is kept then */
export function versionedPath(path: string, { force, hiddenName }: VersionedPathOptions): VersionedPath {
  const hidden = join(dirname(path), hiddenName ?? `.${basename(path)}.cellar`);
  const original = join(hidden, 'original');
  const look: VersionedPath['look'] = () => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return {};
    if (!stat.isSymbolicLink() && mountsAt(fromText(realpathSync(path))).length > 0)
      return { foreign: 'a mount point', fixed: true };
    if (!stat.isSymbolicLink()) return { foreign: stat.isDirectory() ? 'a directory' : 'a file' };
    const link = readlinkSync(path);
    const prefix = `${basename(hidden)}/`;
    return link.startsWith(prefix)
      ? { active: link.slice(prefix.length) }
      : { foreign: `a symlink to ${link}` };
  };
  const synced = (): void => {
    fsyncDir(fromText(hidden));
    fsyncDir(fromText(dirname(path)));
  };
  const isOurLink = (name: string): boolean =>
    lstatSync(name, { throwIfNoEntry: false })?.isSymbolicLink() === true &&
    readlinkSync(name).startsWith(`${basename(hidden)}/`);
  const keepsOriginal = (): boolean =>
    lstatSync(original, { throwIfNoEntry: false }) !== undefined && !isOurLink(original);
  const tidy = (): void => {
    for (const name of leftovers(hidden)) rmSync(name, { force: true });
    if (isOurLink(original)) rmSync(original);
    removeIfEmpty(hidden);
  };
  return {
    path,
    place: (id) => join(hidden, id),
    places: () => versionsIn(hidden).map((id) => join(hidden, id)),
    look,
    prepare: () => makeVersions(hidden),
    activate(id) {
      const { active, foreign } = look();
      // It may have failed only to get to the disk.
      if (active === id) return synced();
      if (foreign !== undefined && !force)
        throw new CellarError('E_TARGET_FOREIGN', { details: { path, found: foreign } });
      if (foreign !== undefined && keepsOriginal())
        throw new CellarError('E_TARGET_FOREIGN', {
          details: { path, found: foreign },
          hint: `what lay there first is still kept at ${original}: move one of them away`,
        });
      // A foreign thing changes places with the link, so in one step it is at the path or kept.
      const next = foreign === undefined ? join(hidden, `.next-${randomBytes(4).toString('hex')}`) : original;
      rmSync(next, { force: true });
      symlinkSync(`${basename(hidden)}/${id}`, next);
      try {
        if (foreign === undefined) renameSync(next, path);
        else renameExchange(fromText(next), fromText(path));
      } catch (error) {
        rmSync(next, { force: true });
        throw error;
      }
      synced();
    },
    deactivate() {
      if (look().active !== undefined) {
        if (keepsOriginal()) renameExchange(fromText(original), fromText(path));
        else rmSync(path, { force: true });
      }
      // Also when it is out of service already: it may have failed only to get to the disk.
      if (existsSync(hidden)) synced();
      tidy();
    },
    tidy,
  };
}

/** What `writeFileAtomic` writes a record to before it gets its name. */
const unfinishedRecord = /^\.\d+-[0-9a-f]{8}\.[a-z]+\.[0-9a-f]{12}$/;

/** Names in a directory of versions that a killed switch or staging leaves; no version and nothing of the user's. */
export function leftovers(hidden: string): string[] {
  return readableNames(hidden)
    .filter((name) => /^\.next-[0-9a-f]{8}$/.test(name) || unfinishedRecord.test(name))
    .map((name) => join(hidden, name));
}

/**
 * Whoever may go where the versions are in service gets through here, whatever the umask of who deploys. What it lets
 * others do beyond that, a group that shares it for instance, is theirs to say, and may not be ours to change.
 */
export function makeVersions(hidden: string): void {
  makeDirectory(hidden, 0o755);
  const mode = statSync(hidden).mode & 0o7777;
  if ((mode & 0o755) !== 0o755) chmodSync(hidden, mode | 0o755);
}

/** Ids of the versions in a directory of versions. */
export function versionsIn(hidden: string): string[] {
  return readableNames(hidden).filter((name) => /^\d+-[0-9a-f]{8}$/.test(name));
}
