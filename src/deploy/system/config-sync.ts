/**
 * What somebody changed under /etc of the version in service, brought into the next one: each path keeps the change that
 * one side made. Where both made one, the user's stays in service and the new version's lies beside it, for him to
 * compare; nothing of either is lost.
 */
import { hash } from 'node:crypto';
import { lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromText, toBytes, toText, type ByteString } from '../../core/bytes.ts';
import { restamp } from '../../checkout/write-tree.ts';
import { mknod } from '../../sys/metadata.ts';
import { sameInode } from '../../tree/canonical.ts';
import { scanDirectory } from '../../tree/directory.ts';
import { formatBits, parentPath, type Entry } from '../../tree/entry.ts';
import { byPath } from '../../tree/lookup.ts';
import { mergeThree } from '../../tree/three-way.ts';

/** Appended to the name of the new version's file where the user's stays; no program takes such a name for its own. */
export const besideSuffix = '.cellar-new';

export interface ConfigSync {
  /** Roots of the version in service, as delivered and as it runs. */
  readonly oldOrig: string;
  readonly oldRun: string;
  /** Roots of the next one; `newRun` is a fresh copy of `newOrig`, and is written to. */
  readonly newOrig: string;
  readonly newRun: string;
  /** Paths below /etc, such as `/fstab`, that are as we wrote them: nobody's change. */
  readonly ours: ReadonlySet<ByteString>;
  readonly signal: AbortSignal;
}

export interface SyncedConfig {
  /** Paths that were brought over, removals among them. */
  readonly carried: number;
  /** Absolute in the version; both sides had changed them. */
  readonly conflicts: readonly string[];
}

/** @throws E_IO, E_NOT_ALLOWED, E_SOURCE_CHANGED (the old version is being written to), E_CANCELLED */
export function syncConfig(sync: ConfigSync): SyncedConfig {
  const { oldOrig, oldRun, newOrig, newRun, ours, signal } = sync;
  const [original, changed, from, to] = [oldOrig, oldRun, newOrig, newRun].map((root) =>
    fromText(join(root, 'etc')),
  );
  if (![original, changed, from].every((etc) => isDirectory(etc!))) return { carried: 0, conflicts: [] };
  const base = read(original!, signal);
  const baseAt = byPath(base);
  const mine = read(changed!, signal).flatMap((entry) => {
    const before = baseAt.get(entry.path);
    // What an earlier version laid beside the user's file has had its time.
    const isLeft = before === undefined && entry.path.endsWith(besideSuffix);
    return isLeft ? [] : ours.has(entry.path) ? (before ?? []) : entry;
  });
  const next = read(from!, signal);
  const { entries, conflicts } = mergeThree({
    ...{ base: base.map(timeless), mine: mine.map(timeless), next: next.map(timeless), take: 'mine' },
  });
  const carried = apply({ entries, next, changed: changed!, to: to!, signal });
  const nextAt = byPath(next);
  const resultAt = byPath(entries);
  for (const path of conflicts) {
    const theirs = nextAt.get(path);
    if (theirs === undefined || theirs.type === 'directory') continue;
    if (resultAt.get(parentPath(path))?.type === 'directory')
      copy(from! + path, to! + path + besideSuffix, theirs);
  }
  return { carried, conflicts: conflicts.map((path) => `/etc${toText(path)}`) };
}

interface Apply {
  readonly entries: readonly Entry[];
  readonly next: readonly Entry[];
  readonly changed: ByteString;
  readonly to: ByteString;
  readonly signal: AbortSignal;
}

function apply({ entries, next, changed, to, signal }: Apply): number {
  const result = byPath(entries);
  const nextAt = byPath(next.map(timeless));
  let carried = 0;
  for (const { path, type } of next.toReversed()) {
    const wanted = result.get(path);
    if (wanted !== undefined && (wanted.type === 'directory') === (type === 'directory')) continue;
    rmSync(toBytes(to + path), { recursive: true, force: true });
    if (wanted === undefined) carried++;
  }
  const sources = byPath(readNames(changed, signal));
  for (const entry of entries) {
    const { path } = entry;
    const there = nextAt.get(path);
    if (there !== undefined && sameInode(there, entry)) continue;
    carried++;
    const source = sources.get(path) ?? entry;
    if (entry.type !== 'directory') copy(changed + path, to + path, source);
    else {
      const directory = path === '/' ? to : to + path;
      if (!isDirectory(directory)) mkdirSync(toBytes(directory), 0o700);
      restamp(directory, source);
    }
  }
  return carried;
}

/** One name with all its metadata; whatever has it goes. */
function copy(from: ByteString, to: ByteString, entry: Entry): void {
  const place = toBytes(to);
  rmSync(place, { recursive: true, force: true });
  if (entry.type === 'file') writeFileSync(place, readFileSync(toBytes(from)), { mode: 0o600, flag: 'wx' });
  else if (entry.type === 'symlink') symlinkSync(toBytes(entry.target ?? ''), place);
  else mknod(to, formatBits[entry.type] | 0o600, entry.rdev);
  restamp(to, entry);
}

/** With digests. Files of configuration are small, and read whole. */
function read(directory: ByteString, signal: AbortSignal): Entry[] {
  const firsts = new Map<ByteString, Entry>();
  return readNames(directory, signal).map((entry) => {
    const { path, hardlink, type, size } = entry;
    if (type !== 'file' || size === 0) return entry;
    const first = hardlink === undefined ? undefined : firsts.get(hardlink);
    const digest = first?.digest ?? hash('sha256', readFileSync(toBytes(directory + path)), 'hex');
    const whole = { ...entry, digest };
    firsts.set(path, whole);
    return whole;
  });
}

function readNames(directory: ByteString, signal: AbortSignal): Entry[] {
  return [...scanDirectory(directory, { signal })].map(({ entry }) => entry);
}

/** When a file was written is no change of a configuration. */
function timeless(entry: Entry): Entry {
  return { ...entry, mtime: 0, mtimeNsec: 0 };
}

function isDirectory(path: ByteString): boolean {
  return lstatSync(toBytes(path), { throwIfNoEntry: false })?.isDirectory() === true;
}
