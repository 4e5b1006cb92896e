/**
 * Paths of a tree that lies in a directory of this machine. Its symlinks mean places in the tree, and must never lead us
 * out of it: each is followed here, by hand, with the tree as the root. Nothing else may change the tree meanwhile.
 */
import { chownSync, lstatSync, mkdirSync, readlinkSync, type Stats } from 'node:fs';
import { toBytes, toText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';

/** As many as the kernel follows, path_resolution(7). */
const maxSymlinks = 40;

/**
 * The place of `path` on this machine, all symlinks followed but a last one. What does not exist has no symlinks.
 * @throws E_TREE_INVALID for symlinks in a circle
 */
export function resolveInside(
  root: ByteString,
  path: ByteString,
  options: { followLast?: boolean } = {},
): ByteString {
  const pending = parts(path).toReversed();
  let done: ByteString[] = [];
  let followed = 0;
  while (pending.length > 0) {
    const part = pending.pop()!;
    if (part === '..') {
      done = done.slice(0, -1);
      continue;
    }
    const here = [...done, part];
    const isLast = pending.length === 0 && options.followLast !== true;
    const place = `${root}/${here.join('/')}`;
    if (isLast || statInside(place)?.isSymbolicLink() !== true) {
      done = here;
      continue;
    }
    if (++followed > maxSymlinks)
      throw new CellarError('E_TREE_INVALID', {
        details: { path: toText(path), problem: 'its symlinks lead in a circle' },
      });
    const target = readlinkSync(toBytes(place), { encoding: 'latin1' });
    if (target.startsWith('/')) done = [];
    pending.push(...parts(target).toReversed());
  }
  return done.length === 0 ? root : `${root}/${done.join('/')}`;
}

/** Make the directories that lead to a resolved place, 0755 and root's, where they are missing. */
export function makeParents(place: ByteString): void {
  const parent = place.slice(0, place.lastIndexOf('/'));
  const stat = statInside(parent);
  if (stat?.isDirectory() === true) return;
  if (stat !== undefined)
    throw new CellarError('E_TREE_INVALID', {
      details: { path: toText(parent), problem: 'it is no directory' },
    });
  makeParents(parent);
  mkdirSync(toBytes(parent), { mode: 0o755 });
  chownSync(toBytes(parent), 0, 0);
}

/** Of the path itself, a symlink too. */
export function statInside(place: ByteString): Stats | undefined {
  return lstatSync(toBytes(place), { throwIfNoEntry: false });
}

function parts(path: ByteString): ByteString[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
