/**
 * What a command needs in its tree and must not stay there: mount points, the resolver's configuration, a policy that
 * starts no services. When it is taken away the tree is as if it had never been there, times of directories included.
 */
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { toBytes, toText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { isErrno } from '../sys/errno.ts';
import { setTimes } from '../sys/metadata.ts';
import { lstatFull } from '../sys/stat.ts';
import { resolveInside, statInside } from './inside.ts';
import { mountPoints } from './sandbox.ts';

export interface TransientFile {
  readonly path: ByteString;
  readonly content: string | Buffer;
  readonly mode: number;
  /** Take the place of what is there, and give it back; else what is there is left alone. */
  readonly replace: boolean;
}

/** Put everything in place; disposing takes it away. @throws E_TREE_INVALID where a mount point is no directory */
export function placeTransient(root: ByteString, files: readonly TransientFile[]): Disposable {
  using stack = new DisposableStack();
  for (const name of mountPoints) stack.use(placeDirectory(root, name));
  for (const file of files) stack.use(placeFile(root, file));
  return stack.move();
}

function placeDirectory(root: ByteString, name: string): Disposable {
  const place = `${root}/${name}`;
  const stat = statInside(place);
  if (stat?.isDirectory() === true) return nothing;
  if (stat !== undefined)
    throw new CellarError('E_TREE_INVALID', {
      details: { path: `/${name}`, problem: 'it has to be a directory, for commands to run in this tree' },
    });
  return touching(root, () => {
    mkdirSync(toBytes(place), 0o755);
    return () => ignoring(() => rmdirSync(toBytes(place)));
  });
}

function placeFile(root: ByteString, { path, content, mode, replace }: TransientFile): Disposable {
  const place = resolveInside(root, path);
  const directory = place.slice(0, place.lastIndexOf('/'));
  const there = statInside(place);
  if (statInside(directory)?.isDirectory() !== true || (there !== undefined && !replace)) return nothing;
  if (there?.isDirectory() === true)
    throw new CellarError('E_TREE_INVALID', {
      details: { path: toText(path), problem: 'it is a directory' },
    });
  return touching(directory, () => {
    const aside = `${place}.cellar-${randomBytes(6).toString('hex')}`;
    if (there !== undefined) renameSync(toBytes(place), toBytes(aside));
    writeFileSync(toBytes(place), content, { flag: 'wx' });
    chmodSync(toBytes(place), mode);
    return () => {
      // A command that put its own file there meant it.
      const kept = holds(place, content);
      if (kept) ignoring(() => unlinkSync(toBytes(place)));
      if (there === undefined) return;
      if (kept) renameSync(toBytes(aside), toBytes(place));
      else ignoring(() => unlinkSync(toBytes(aside)));
    };
  });
}

function holds(place: ByteString, content: string | Buffer): boolean {
  return statInside(place)?.isFile() === true && readFileSync(toBytes(place)).equals(Buffer.from(content));
}

const nothing: Disposable = { [Symbol.dispose]() {} };

/** Does work in a directory whose time is to look as if nothing had happened, unless something else did. */
function touching(directory: ByteString, work: () => () => void): Disposable {
  const original = timeOf(directory);
  const undo = work();
  const ours = timeOf(directory);
  return {
    [Symbol.dispose]() {
      if (statInside(directory)?.isDirectory() !== true) return;
      const now = timeOf(directory);
      undo();
      const untouched = now.mtime === ours.mtime && now.mtimeNsec === ours.mtimeNsec;
      setTimes(directory, untouched ? original : now);
    },
  };
}

function timeOf(directory: ByteString): { mtime: number; mtimeNsec: number } {
  const { mtime, mtimeNsec } = lstatFull(directory);
  return { mtime, mtimeNsec };
}

function ignoring(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTEMPTY', 'EEXIST')) throw error;
  }
}
