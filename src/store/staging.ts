/**
 * Things in `tmp/` that belong to a living process: staging directories of transactions, and leases by which a
 * reader keeps trees from being collected. Each is `<random>.lock`, held with flock, with an optional directory
 * `<random>` beside it. Whoever can take the flock of another's file knows that its owner is gone and sweeps
 * it; process numbers would not do, since they differ between namespaces.
 *
 * The lock file is made before its directory and removed after it, so a directory without a lock is garbage.
 * It may also note steps taken outside the directory (half-made checkouts), which are undone first, newest first.
 */
import {
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { fromText } from '../core/bytes.ts';
import { isDigest, type Digest } from '../core/digest.ts';
import { closeQuietly } from '../sys/close.ts';
import { isErrno } from '../sys/errno.ts';
import { tryFlock } from '../sys/flock.ts';
import { removeInheritedAcls } from '../sys/xattr.ts';
import { inStore } from './layout.ts';

export interface Staging extends Disposable {
  /** Absolute path of the private directory. */
  readonly directory: string;
  /** Have this line (no newline in it) handed to the sweeper's `undo` if this process dies. */
  note(line: string): void;
}

export function createStaging(root: string): Staging {
  using stack = new DisposableStack();
  const held = stack.use(holdLockFile(root));
  const directory = held.file.slice(0, -'.lock'.length);
  mkdirSync(directory, { mode: 0o700 });
  // Objects that are made in here would have it, and so would hard links to them.
  removeInheritedAcls(fromText(directory));
  stack.move();
  return {
    directory,
    note(line) {
      writeFileSync(held.fd, `undo ${line}\n`);
    },
    [Symbol.dispose]() {
      // What cannot be removed now is swept by the next command; it does not undo what was done.
      succeeds(() => rmSync(directory, { recursive: true, force: true }));
      held[Symbol.dispose]();
    },
  };
}

/** Keep these trees, and all they need, from being collected until disposed or until this process ends. */
export function holdTrees(root: string, trees: readonly Digest[]): Disposable {
  using stack = new DisposableStack();
  const held = stack.use(holdLockFile(root));
  writeFileSync(held.fd, trees.map((tree) => `tree ${tree}\n`).join(''));
  stack.move();
  return held;
}

/** Trees that living processes hold. */
export function heldTrees(root: string): Digest[] {
  const trees: Digest[] = [];
  for (const name of readdirSync(inStore(root, 'tmp'))) {
    if (!name.endsWith('.lock')) continue;
    for (const line of readLines(`${inStore(root, 'tmp')}/${name}`)) {
      if (line.startsWith('tree ') && isDigest(line.slice(5))) trees.push(line.slice(5));
    }
  }
  return trees;
}

/** Remove what dead processes left. Cheap when there is nothing: one directory listing. */
export function sweepStaging(root: string, undo: (line: string) => void): number {
  const tmp = inStore(root, 'tmp');
  const names = readdirSync(tmp);
  let swept = 0;
  for (const name of names) {
    if (name.endsWith('.lock')) swept += sweepOne(`${tmp}/${name}`, undo);
    else if (!names.includes(`${name}.lock`) && !readdirSync(tmp).includes(`${name}.lock`)) {
      rmSync(`${tmp}/${name}`, { recursive: true, force: true });
      swept++;
    }
  }
  return swept;
}

function sweepOne(lockFile: string, undo: (line: string) => void): number {
  let fd: number;
  try {
    fd = openSync(lockFile, 'r+');
  } catch {
    return 0; // its owner or another sweeper was faster
  }
  try {
    if (!tryFlock(fd, 'exclusive') || fstatSync(fd).nlink === 0) return 0;
    const isUndone = succeeds(() => {
      // The last line may have been cut short by the death of its writer; the step it names had not begun then.
      for (const line of readLines(lockFile).slice(0, -1).reverse())
        if (line.startsWith('undo ')) undo(line.slice(5));
    });
    if (!isUndone) return 0;
    rmSync(lockFile.slice(0, -'.lock'.length), { recursive: true, force: true });
    unlinkSync(lockFile);
    return 1;
  } finally {
    closeQuietly(fd);
  }
}

/** What cannot be undone or removed now (a mount in use) is left to a later sweep and hinders no command. */
function succeeds(work: () => void): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

function holdLockFile(root: string): { file: string; fd: number } & Disposable {
  for (;;) {
    const file = `${inStore(root, 'tmp')}/${randomBytes(8).toString('hex')}.lock`;
    const fd = openSync(file, 'wx+', 0o600);
    // A sweeper may have caught the file between its creation and our flock: then it is gone, try again.
    if (tryFlock(fd, 'exclusive') && fstatSync(fd).nlink > 0) {
      return {
        file,
        fd,
        [Symbol.dispose]() {
          succeeds(() => rmSync(file, { force: true }));
          closeQuietly(fd);
        },
      };
    }
    closeQuietly(fd);
  }
}

/** None of one that is gone. One that is there and cannot be read may hold anything, so that is an error. */
function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
