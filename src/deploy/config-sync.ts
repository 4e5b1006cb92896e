/**
 * What somebody changed under /etc of the version in service, brought into the next one: each path keeps the change that
 * one side made. Where both made one, the user's stays in service and the new version's lies beside it, for him to
 * compare; nothing of either is lost.
 */
import { hash } from 'node:crypto';
import { lstatSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fromText, toBytes, toText, type ByteString } from '../core/bytes.ts';
import { restamp } from '../checkout/write-tree.ts';
import { sameInode } from '../tree/canonical.ts';
import { scanDirectory } from '../tree/directory.ts';
import { parentPath, type Entry } from '../tree/entry.ts';
import { mergeThree } from '../tree/three-way.ts';
import { copy } from './system-boot.ts';

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
export async function syncConfig(sync: ConfigSync): Promise<SyncedConfig> {
  const { oldOrig, oldRun, newOrig, newRun, ours, signal } = sync;
  const [original, changed, from, to] = [oldOrig, oldRun, newOrig, newRun].map((root) => join(root, 'etc'));
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
  const carried = await apply({ entries, next, changed: changed!, to: to!, signal });
  const nextAt = byPath(next);
  const resultAt = byPath(entries);
  for (const path of conflicts) {
    const theirs = nextAt.get(path);
    if (theirs === undefined || theirs.type === 'directory') continue;
    if (resultAt.get(parentPath(path))?.type === 'directory')
      await copy(text(from!, path), text(to!, path) + besideSuffix, signal);
  }
  return { carried, conflicts: conflicts.map((path) => `/etc${toText(path)}`) };
}

interface Apply {
  readonly entries: readonly Entry[];
  readonly next: readonly Entry[];
  readonly changed: string;
  readonly to: string;
  readonly signal: AbortSignal;
}

async function apply({ entries, next, changed, to, signal }: Apply): Promise<number> {
  const result = byPath(entries);
  const nextAt = byPath(next.map(timeless));
  let carried = 0;
  for (const { path, type } of next.toReversed()) {
    const wanted = result.get(path);
    if (wanted !== undefined && (wanted.type === 'directory') === (type === 'directory')) continue;
    rmSync(text(to, path), { recursive: true, force: true });
    if (wanted === undefined) carried++;
  }
  const sources = byPath(readNames(changed, signal));
  for (const entry of entries) {
    const { path } = entry;
    const there = nextAt.get(path);
    if (there !== undefined && sameInode(there, entry)) continue;
    carried++;
    if (entry.type !== 'directory') await copy(text(changed, path), text(to, path), signal);
    else {
      if (!isDirectory(text(to, path))) mkdirSync(text(to, path), 0o700);
      restamp(fromText(text(to, path)), sources.get(path) ?? entry);
    }
  }
  return carried;
}

/** With digests. Files of configuration are small, and read whole. */
function read(directory: string, signal: AbortSignal): Entry[] {
  const firsts = new Map<ByteString, Entry>();
  return readNames(directory, signal).map((entry) => {
    const { path, hardlink, type, size } = entry;
    if (type !== 'file' || size === 0) return entry;
    const first = hardlink === undefined ? undefined : firsts.get(hardlink);
    const digest = first?.digest ?? hash('sha256', readFileSync(toBytes(fromText(directory) + path)), 'hex');
    const whole = { ...entry, digest };
    firsts.set(path, whole);
    return whole;
  });
}

function readNames(directory: string, signal: AbortSignal): Entry[] {
  return [...scanDirectory(fromText(directory), { signal })].map(({ entry }) => entry);
}

/** When a file was written is no change of a configuration. */
function timeless(entry: Entry): Entry {
  return { ...entry, mtime: 0, mtimeNsec: 0 };
}

function byPath(entries: readonly Entry[]): Map<ByteString, Entry> {
  return new Map(entries.map((entry) => [entry.path, entry]));
}

function isDirectory(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function text(root: string, path: ByteString): string {
  return path === '/' ? root : root + toText(path);
}
