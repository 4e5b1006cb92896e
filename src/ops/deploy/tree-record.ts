/**
 * A deployment's record inside its tree, where whoever runs there finds it. A tree that is written to in service gets
 * it as a file of its writable layer; any other is put in service as a tree with one entry more. Either way it is no
 * change of anybody's: commits, comparisons and upgrades leave it out, and so does the question whether a deployment is
 * what it was.
 */
import {
  chmodSync,
  closeSync,
  fchmodSync,
  lstatSync,
  mkdirSync,
  openSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { toBytes, toText, type ByteString } from '../../core/bytes.ts';
import { CellarError } from '../../core/errors.ts';
import type { RecordInside } from '../../deploy/port.ts';
import type { Store } from '../../store/store.ts';
import { readTree } from '../../store/trees.ts';
import type { Transaction } from '../../store/transaction.ts';
import { setTimes } from '../../sys/metadata.ts';
import { lstatFull } from '../../sys/stat.ts';
import { noXattrs, parentPath, type Entry } from '../../tree/entry.ts';
import { findEntry, pathInTree } from '../../tree/lookup.ts';
import { placeFile } from '../../tree/place-file.ts';

/** In a tree that is written to in service, unless the user names another place. */
export const defaultRecordPath = '/.deployment.json';

/**
 * @param given as the user wrote it; `none` for no record in the tree
 * @throws E_USAGE
 */
export function parseRecordPath(given: string): string | undefined {
  if (given === 'none') return undefined;
  return requirePathInTree(given);
}

/** A file's place in a tree, with a leading slash. @throws E_USAGE */
export function requirePathInTree(given: string): string {
  const path = given.endsWith('/') ? undefined : pathInTree(given);
  if (path !== undefined) return toText(path);
  throw new CellarError('E_USAGE', {
    details: { problem: `'${given}' is no path of a file in a tree` },
    hint: 'for instance etc/deployment.json',
  });
}

/**
 * Into a fresh writable checkout that nobody looks at yet. Symlinks are not followed: they are the tree's own, and could
 * lead anywhere. @throws E_RECORD_PLACE
 */
export function writeRecord(root: ByteString, path: ByteString, text: string): void {
  let kept: ByteString = root;
  for (const parent of parentsOf(path)) {
    const place = root + parent;
    const stat = lstatSync(toBytes(place), { throwIfNoEntry: false });
    if (stat?.isDirectory() === true) kept = place;
    else if (stat === undefined) break;
    else throw refused(path, `${toText(parent)} is no directory`);
  }
  const there = lstatSync(toBytes(root + path), { throwIfNoEntry: false });
  if (there !== undefined && !isReplaceable(there.isFile() || there.isSymbolicLink(), there.nlink))
    throw refused(path, taken);
  const { mtime, mtimeNsec } = lstatFull(kept);
  for (const parent of parentsOf(path)) {
    const place = toBytes(root + parent);
    if (lstatSync(place, { throwIfNoEntry: false }) !== undefined) continue;
    mkdirSync(place);
    chmodSync(place, directoryMode);
  }
  if (there !== undefined) unlinkSync(toBytes(root + path));
  // Nobody reads it before it is whole, and the file system is synced before anybody can.
  const fd = openSync(toBytes(root + path), 'wx', fileMode);
  try {
    writeFileSync(fd, text);
    fchmodSync(fd, fileMode);
  } finally {
    closeSync(fd);
  }
  // A directory that is only as old as the record in it would count as changed.
  setTimes(kept, { mtime, mtimeNsec });
}

/** The entries of a tree with the record, which is in `file`, among them; its bytes are staged. @throws E_RECORD_PLACE */
export async function withRecord(
  { ingest }: Pick<Transaction, 'ingest'>,
  { entries, path, file }: { entries: readonly Entry[]; path: ByteString; file: string },
): Promise<readonly Entry[]> {
  const seconds = Math.floor(Date.now() / 1000);
  const own = { uid: 0, gid: 0, mtime: seconds, mtimeNsec: 0, xattrs: noXattrs, rdev: 0 };
  const { ingestFile } = await import('../ingest/file.ts');
  const content = await ingestFile(ingest, file, { ...own, mode: fileMode });
  const entry: Entry = { path, type: 'file', mode: fileMode, ...content, ...own };
  return placeFile(entries, entry, (problem) => refused(path, problem));
}

/** What the tree has without the record: whatever lay in its place, and no directory that was made for it alone. */
export function withoutRecord(
  store: Store,
  entries: readonly Entry[],
  { path, of, original }: RecordInside & { readonly original: readonly Entry[] },
): readonly Entry[] {
  const before = of === undefined ? original : readTree(store, of);
  let kept = entries.filter((entry) => entry.path !== path);
  for (const parent of parentsOf(path).toReversed()) {
    if (findEntry(before, parent) !== undefined) break;
    if (kept.some((entry) => entry.path !== '/' && parentPath(entry.path) === parent)) break;
    kept = kept.filter((entry) => entry.path !== parent);
  }
  const replaced = findEntry(before, path);
  if (replaced === undefined || findEntry(kept, parentPath(path))?.type !== 'directory') return kept;
  return [...kept, replaced].sort(byPath);
}

const fileMode = 0o644;
const directoryMode = 0o755;
const taken = 'something else than a file with one name lies there';

function isReplaceable(isPlain: boolean, names: number): boolean {
  return isPlain && names === 1;
}

/** Topmost first, without the root. */
function parentsOf(path: ByteString): ByteString[] {
  const parts = path.slice(1).split('/').slice(0, -1);
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`);
}

function byPath(a: Entry, b: Entry): number {
  return a.path < b.path ? -1 : 1;
}

function refused(path: ByteString, problem: string): CellarError {
  return new CellarError('E_RECORD_PLACE', { details: { path: toText(path), problem } });
}
