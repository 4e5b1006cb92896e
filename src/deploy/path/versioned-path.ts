/**
 * A path that is switched in one step: versions lie side by side in a hidden directory beside it, and the path is a
 * symlink to one of them, replaced by rename(2). Readers see the old version or the new one; whoever has opened the
 * directory before keeps the old one until he closes it.
 */
import { existsSync, lstatSync, readlinkSync, realpathSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { basename, join } from 'node:path';
import { fromText } from '../../core/bytes.ts';
import { CellarError } from '../../core/errors.ts';
import { removeIfEmpty } from '../../sys/directory.ts';
import { mountsAt } from '../../sys/mountinfo.ts';
import { renameExchange } from '../../sys/rename.ts';
import type { TargetState } from '../port.ts';
import {
  leftovers,
  makeVersions,
  switchedAt,
  syncSwitched,
  twoOriginals,
  versionsIn,
  type Switched,
} from './switched.ts';

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
  const at = switchedAt(path, hiddenName);
  const { hidden } = at;
  return {
    path,
    place: (id) => join(hidden, id),
    places: () => versionsIn(hidden).map((id) => join(hidden, id)),
    look: () => look(at),
    prepare: () => makeVersions(hidden),
    activate: (id) => activate(at, id, force),
    deactivate: () => deactivate(at),
    tidy: () => tidy(at),
  };
}

function look({ path, hidden }: Switched): Pick<TargetState, 'active' | 'foreign' | 'fixed'> {
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
}

function activate(at: Switched, id: string, force: boolean): void {
  const { path, hidden, original } = at;
  const { active, foreign } = look(at);
  // It may have failed only to get to the disk.
  if (active === id) return syncSwitched(at);
  if (foreign !== undefined && !force)
    throw new CellarError('E_TARGET_FOREIGN', { details: { path, found: foreign } });
  if (foreign !== undefined && keepsOriginal(at)) throw twoOriginals(at, foreign);
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
  syncSwitched(at);
}

function deactivate(at: Switched): void {
  const { path, hidden, original } = at;
  if (look(at).active !== undefined) {
    if (keepsOriginal(at)) renameExchange(fromText(original), fromText(path));
    else rmSync(path, { force: true });
  }
  // Also when it is out of service already: it may have failed only to get to the disk.
  if (existsSync(hidden)) syncSwitched(at);
  tidy(at);
}

function tidy({ hidden, original }: Switched): void {
  for (const name of leftovers(hidden)) rmSync(name, { force: true });
  if (isOurLink(original, hidden)) rmSync(original);
  removeIfEmpty(hidden);
}

function keepsOriginal({ original, hidden }: Switched): boolean {
  return lstatSync(original, { throwIfNoEntry: false }) !== undefined && !isOurLink(original, hidden);
}

function isOurLink(name: string, hidden: string): boolean {
  const isLink = lstatSync(name, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  return isLink && readlinkSync(name).startsWith(`${basename(hidden)}/`);
}
