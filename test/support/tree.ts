/**
 * A realistic tree with every oddity a root file system can have, from a seed: the same seed gives the same tree.
 * Without root it holds what an ordinary user may make.
 */
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setMtime } from './raw.ts';
import { randomBytes, generator } from './random.ts';
import { privileged } from './run.ts';
import { oddities } from './odd-files.ts';
import { makeScratch } from './scratch.ts';

export interface TestTree extends Disposable {
  readonly root: string;
  readonly seed: number;
  readonly files: number;
}

export interface TreeOptions {
  /** Ordinary files; the oddities come on top. Default 200. */
  readonly files?: number;
  readonly seed?: number;
  /** Where the tree's directory is made. Default `$TMPDIR`. */
  readonly parent?: string;
  /** Sockets are something tar cannot hold. Default no. */
  readonly sockets?: boolean;
  /** Bytes of the largest xattr; ext4 holds about 4,000, xfs 65,536. Default 3,000. */
  readonly largestXattr?: number;
  /** Without what packers lose or get wrong: hard-linked devices and symlinks, fractions before 1970. Default no. */
  readonly packable?: boolean;
  /** Only whole-second mtimes and no xattrs or ACLs: what any tar format holds. */
  readonly plain?: boolean;
}

export function buildTree(options: TreeOptions = {}): TestTree {
  const { files = 200, seed = 1 } = options;
  const scratch = makeScratch('tree', options.parent);
  const root = join(scratch.path, 'root');
  const random = generator(seed);
  mkdirSync(root);
  const directories = ordinaryFiles(root, files, random);
  oddities(root, options, random);
  setTimes(root, directories, options);
  return { root, seed, files, [Symbol.dispose]: () => scratch[Symbol.dispose]() };
}

/** Sizes like a root file system's: half under 3 KB, some empty, a few large. */
function ordinarySize(random: () => number): number {
  const draw = random();
  if (draw < 0.02) return 0;
  if (draw < 0.9) return Math.floor(8192 * random() ** 2);
  return draw < 0.99 ? Math.floor(40_000 * random()) : Math.floor(400_000 * random());
}

function ordinaryFiles(root: string, count: number, random: () => number): string[] {
  const directories = [root];
  for (let index = 0; index < count; index++) {
    if (index % 8 === 0) {
      const parent = directories[Math.floor(random() * directories.length)] as string;
      const made = join(parent, `dir-${index}`);
      mkdirSync(made, { mode: random() < 0.9 ? 0o755 : 0o700 });
      directories.push(made);
    }
    const directory = directories[Math.floor(random() * directories.length)] as string;
    const path = join(directory, `file-${index}`);
    writeFileSync(path, randomBytes(ordinarySize(random), random));
    chmodSync(path, random() < 0.8 ? 0o644 : 0o755);
    if (index % 12 === 0) symlinkSync(index % 24 === 0 ? `file-${index}` : '/no/such/place', `${path}.link`);
    if (privileged && index % 10 === 0) lchownSync(path, 1000 + (index % 7), 100 + (index % 5));
  }
  return directories;
}

/** Last, because making anything in a directory changes its mtime. */
function setTimes(root: string, directories: readonly string[], options: TreeOptions): void {
  const nanos = options.plain === true ? 0n : 1n;
  const base = 1_600_000_000n;
  const set = (path: string, seconds: bigint, nsec: bigint): void =>
    setMtime(Buffer.from(path), seconds * 1_000_000_000n + nsec * nanos);
  const odd = join(root, 'odd');
  if (options.plain !== true) {
    const fraction = options.packable === true ? 0n : 1n;
    set(join(odd, 'mode-777'), -1n, fraction * 500_000_000n);
    set(join(odd, 'mode-400'), -2_000_000_000n, fraction);
    set(join(odd, 'mode-4755'), 4_500_000_000n, 999_999_999n);
  }
  set(join(odd, 'empty'), 0n, 0n);
  set(join(odd, 'byte-link'), base, 123_456_789n);
  set(join(odd, 'links/b-first'), base + 1n, 100_000_000n);
  set(join(odd, 'fifo'), base + 2n, 7n);
  set(join(odd, 'empty-directory'), base + 3n, 1000n);
  [...directories].reverse().forEach((path, index) => set(path, base + BigInt(index * 3600), BigInt(index)));
  if (options.plain === true) wholeSeconds(root);
}

/** Cuts every mtime below `root` to whole seconds. */
function wholeSeconds(root: string): void {
  for (const name of [...readdirSync(Buffer.from(root), { recursive: true, encoding: 'buffer' })]) {
    truncateTime(Buffer.concat([Buffer.from(`${root}/`), name]));
  }
  truncateTime(Buffer.from(root));
}

function truncateTime(path: Buffer): void {
  setMtime(path, (lstatSync(path, { bigint: true }).mtimeNs / 1_000_000_000n) * 1_000_000_000n);
}

/** A copy of the tree with about 5 % of its ordinary files changed in every way a file can change. */
export function nextVersion(tree: TestTree): TestTree {
  const scratch = makeScratch('tree', join(tree.root, '../..'));
  const root = join(scratch.path, 'root');
  const copied = spawnSync('cp', ['-a', '--', tree.root, root]);
  if (copied.status !== 0) throw new Error(`cp -a: ${copied.stderr.toString()}`);
  const random = generator(tree.seed + 1);
  const found = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /file-\d+$/.test(name),
  );
  for (const name of found.sort()) {
    if (random() < 0.05) change(join(root, name), Math.floor(random() * 8), random);
  }
  const added = join(root, `added-${tree.seed}`);
  mkdirSync(added);
  // Some that are written past the page cache too: in one block, in several, and larger than a slot of an import.
  for (const [name, size] of Object.entries({
    new: 3000,
    large: 700_001,
    larger: 1_500_000,
    largest: 2_500_013,
  }))
    writeFileSync(join(added, name), randomBytes(size, random));
  return { root, seed: tree.seed + 1, files: tree.files, [Symbol.dispose]: () => scratch[Symbol.dispose]() };
}

function change(path: string, way: number, random: () => number): void {
  if (lstatSync(path).isSymbolicLink()) return;
  switch (way) {
    case 0:
      writeFileSync(path, randomBytes(ordinarySize(random) + 1, random));
      break;
    case 1:
      appendFileSync(path, 'one more line\n');
      break;
    case 2:
      chmodSync(path, 0o755);
      break;
    case 3:
      setMtime(Buffer.from(path), 1_700_000_000_000_000_000n);
      break;
    case 4:
      rmSync(path);
      break;
    case 5:
      rmSync(path);
      symlinkSync('elsewhere', path);
      break;
    case 6:
      rmSync(path);
      mkdirSync(path);
      break;
    default:
      renameSync(path, `${path}-renamed`);
  }
}
