/** Files put into a tree: from this machine, from beside a recipe, or from the recipe itself. */
import {
  copyFileSync,
  lchownSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { toBytes, toText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { setTimes } from '../sys/metadata.ts';
import { lstatFull } from '../sys/stat.ts';
import type { Owner } from '../core/ownership.ts';
import { makeParents, resolveInside, statInside } from './inside.ts';

export interface PutOptions {
  readonly owner: Owner;
  /** Permission bits; default those of the source, 0644 for inline content. */
  readonly mode?: number | undefined;
  /** Seconds since the epoch, for everything; default the source's own time, now for inline content. */
  readonly clock?: number | undefined;
}

/** Content under a path of the tree; a symlink there is replaced, not followed. @throws E_TREE_INVALID */
export function putContent(
  root: ByteString,
  path: ByteString,
  content: string | Buffer,
  options: PutOptions,
): void {
  const place = clearPlace(root, path);
  writeFileSync(toBytes(place), content, { flag: 'wx' });
  finish(place, { ...options, mode: options.mode ?? 0o644 });
}

/**
 * A file, a symlink, or a directory with all that is in it, which is united with one that is there. `mode` is that of a
 * file, or of the files in a directory. @throws E_SOURCE_NOT_FOUND, E_TREE_INVALID
 */
export function putPath(root: ByteString, path: ByteString, source: ByteString, options: PutOptions): void {
  const stat = statInside(source);
  if (stat === undefined)
    throw new CellarError('E_SOURCE_NOT_FOUND', { details: { source: toText(source) } });
  if (stat.isDirectory()) return putDirectory(root, path, source, options);
  const place = clearPlace(root, path);
  if (stat.isSymbolicLink())
    symlinkSync(readlinkSync(toBytes(source), { encoding: 'buffer' }), toBytes(place));
  else if (stat.isFile()) copyFileSync(toBytes(source), toBytes(place));
  else
    throw new CellarError('E_TREE_INVALID', {
      details: { path: toText(source), problem: 'only files, symlinks and directories are copied' },
    });
  const { perm, mtime, mtimeNsec } = lstatFull(source);
  finish(place, {
    ...options,
    mode: stat.isSymbolicLink() ? undefined : (options.mode ?? perm),
    time: { mtime, mtimeNsec },
  });
}

function putDirectory(root: ByteString, path: ByteString, source: ByteString, options: PutOptions): void {
  const place = resolveInside(root, path, { followLast: true });
  const there = statInside(place);
  if (there !== undefined && !there.isDirectory())
    throw new CellarError('E_TREE_INVALID', {
      details: { path: toText(path), problem: 'it is no directory' },
    });
  if (there === undefined) {
    makeParents(place);
    mkdirSync(toBytes(place));
  }
  for (const name of readdirSync(toBytes(source), { encoding: 'latin1' }).sort())
    putPath(root, `${path}/${name}`, `${source}/${name}`, options);
  const { perm, mtime, mtimeNsec } = lstatFull(source);
  if (there === undefined) finish(place, { ...options, mode: perm, time: { mtime, mtimeNsec } });
}

function clearPlace(root: ByteString, path: ByteString): ByteString {
  const place = resolveInside(root, path);
  if (place === root)
    throw new CellarError('E_TREE_INVALID', { details: { path: toText(path), problem: 'it is the root' } });
  makeParents(place);
  const stat = statInside(place);
  if (stat?.isDirectory() === true)
    throw new CellarError('E_TREE_INVALID', {
      details: { path: toText(path), problem: 'it is a directory' },
    });
  if (stat !== undefined) unlinkSync(toBytes(place));
  return place;
}

interface Finish extends PutOptions {
  readonly time?: { readonly mtime: number; readonly mtimeNsec: number };
}

/** The owner first: changing it clears setuid bits. */
function finish(place: ByteString, { owner, mode, clock, time }: Finish): void {
  lchownSync(toBytes(place), owner.uid, owner.gid);
  if (mode !== undefined) chmodSync(toBytes(place), mode);
  const given = clock === undefined ? time : { mtime: clock, mtimeNsec: 0 };
  if (given !== undefined) setTimes(place, given);
}

/** What is there goes, whatever it is; absent is fine. */
export function removeInside(root: ByteString, path: ByteString): void {
  const place = resolveInside(root, path);
  if (place !== root) rmSync(toBytes(place), { recursive: true, force: true });
}
