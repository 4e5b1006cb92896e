/**
 * A realistic tree with every oddity a root file system can have, from a seed: the same seed gives the same tree.
 * Without root it holds what an ordinary user may make.
 */
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { device, mknod, setMtime, setXattr } from './raw.ts';
import { needs } from './run.ts';
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

/** Pseudo-random numbers in [0, 1) from a seed (mulberry32). */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Bytes that do not compress to nothing and differ with the seed's state. */
export function randomBytes(size: number, random: () => number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  for (let at = 0; at < size; at += 4) {
    const word = Math.floor(random() * 2 ** 32);
    for (let index = at; index < Math.min(size, at + 4); index++) bytes[index] = word >>> ((index - at) * 8);
  }
  return bytes;
}

/** Whether everything that root does can be done here. */
export const privileged = needs({ root: true }) === false;
/** Methods of checkouts that work on any file system here: root's hard links are sealed by a mount. */
export const plainMethods: readonly string[] =
  process.geteuid?.() === 0 && !privileged ? ['copy'] : ['copy', 'hardlink'];

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

function oddities(root: string, options: TreeOptions, random: () => number): void {
  const odd = join(root, 'odd');
  mkdirSync(odd);
  names(odd);
  modes(odd);
  hardLinks(odd, options);
  sparse(odd, random);
  mknod(Buffer.from(`${odd}/fifo`), 0o010640);
  if (options.sockets === true) mknod(Buffer.from(`${odd}/socket`), 0o140755);
  if (privileged) devicesAndOwners(odd, options);
  if (options.plain !== true) attributes(odd, options);
}

/** Latin-1 names: bytes, many of them not UTF-8. */
const oddNames: readonly string[] = [
  ' leading space',
  'new\nline',
  'tab\tcr\r',
  'back\\slash\\012',
  `quotes'"\`$x`,
  '-leading-dash',
  '--help',
  '*?[glob]',
  'equals=sign#hash',
  'not utf-8 \xff\xfe\x80',
  Buffer.from('grüße-日本語').toString('latin1'),
  '\x01control\x7f',
  '...',
  '.hidden',
  '.wh.whiteout-like',
  'x'.repeat(255),
  `${'\xe9'.repeat(254)}z`,
];

function names(odd: string): void {
  for (const name of oddNames) {
    const path = Buffer.from(`${Buffer.from(odd).toString('latin1')}/${name}`, 'latin1');
    writeFileSync(path, `content of ${name}\n`);
  }
  symlinkSync(Buffer.from('target \xff\n\\ with bytes', 'latin1'), join(odd, 'byte-link'));
  symlinkSync('t'.repeat(1023), join(odd, 'long-link'));
  const deep = Array.from({ length: 30 }, (_, level) => `${'d'.repeat(40)}${level}`).join('/');
  mkdirSync(join(odd, 'deep', deep), { recursive: true });
  writeFileSync(join(odd, 'deep', deep, 'bottom'), 'deep\n');
}

function modes(odd: string): void {
  for (const mode of [0o000, 0o111, 0o400, 0o777, 0o1644, 0o2755, 0o4755, 0o6711]) {
    const path = join(odd, `mode-${mode.toString(8)}`);
    writeFileSync(path, `mode ${mode}`);
    chmodSync(path, privileged ? mode : mode | 0o400);
  }
  for (const mode of [0o1777, 0o2775, 0o3770]) {
    mkdirSync(join(odd, `directory-${mode.toString(8)}`));
    chmodSync(join(odd, `directory-${mode.toString(8)}`), mode);
  }
  writeFileSync(join(odd, 'empty'), '');
  mkdirSync(join(odd, 'empty-directory'));
}

function hardLinks(odd: string, { packable }: TreeOptions): void {
  mkdirSync(join(odd, 'links'));
  writeFileSync(join(odd, 'links', 'b-first'), 'linked content');
  for (const name of ['a-earlier', 'c-later']) linkSync(join(odd, 'links/b-first'), join(odd, 'links', name));
  linkSync(join(odd, 'links/b-first'), join(odd, 'zz-elsewhere'));
  symlinkSync('b-first', join(odd, 'links/symlink'));
  if (packable !== true) linkSync(join(odd, 'links/symlink'), join(odd, 'links/symlink-again'));
  linkSync(join(odd, 'empty'), join(odd, 'links/empty-again'));
}

function sparse(odd: string, random: () => number): void {
  const chunk = randomBytes(5000, random);
  const layouts: Record<string, readonly [size: number, ...data: number[]]> = {
    'sparse-all-hole': [1 << 20],
    'sparse-leading': [1 << 20, (1 << 20) - 5000],
    'sparse-trailing': [1 << 20, 0],
    'sparse-middle': [3 << 20, 4096, 1 << 20, 2 << 20],
    'sparse-many': [4 << 20, ...Array.from({ length: 40 }, (_, index) => index * 100_000)],
  };
  for (const [name, [size, ...data]] of Object.entries(layouts)) {
    const file = openSync(join(odd, name), 'w', 0o644);
    ftruncateSync(file, size);
    for (const offset of data) writeSync(file, chunk, 0, chunk.length, offset);
    closeSync(file);
  }
}

function devicesAndOwners(odd: string, { packable }: TreeOptions): void {
  mknod(Buffer.from(`${odd}/null`), 0o020666, device(1, 3));
  mknod(Buffer.from(`${odd}/sda1`), 0o060660, device(8, 1));
  mknod(
    Buffer.from(`${odd}/high-minor`),
    0o020600,
    ((4000 & 0xff) | (10 << 8) | ((4000 & ~0xff) << 12)) >>> 0,
  );
  if (packable !== true) linkSync(join(odd, 'null'), join(odd, 'links/null-again'));
  lchownSync(join(odd, 'byte-link'), 12, 34);
  writeFileSync(join(odd, 'large-ids'), 'ids');
  lchownSync(join(odd, 'large-ids'), 4_000_000_000, 3_999_999_999);
  writeFileSync(join(odd, 'past-ustar-ids'), 'ids');
  lchownSync(join(odd, 'past-ustar-ids'), 2_097_152, 2_097_153);
}

function attributes(odd: string, options: TreeOptions): void {
  const attributed = join(odd, 'attributed');
  writeFileSync(attributed, 'xattrs');
  const set = (path: string, name: string, value: Buffer): void => setXattr(Buffer.from(path), name, value);
  set(attributed, 'user.text', Buffer.from('plain'));
  set(attributed, 'user.empty', Buffer.alloc(0));
  set(attributed, 'user.binary', Buffer.from([0, 255, 10, 0, 61, 34]));
  set(attributed, 'user.with space', Buffer.from('x'));
  set(odd, 'user.on-directory', Buffer.from('dir'));
  writeFileSync(join(odd, 'large-xattr'), 'x');
  set(join(odd, 'large-xattr'), 'user.large', Buffer.alloc(options.largestXattr ?? 3000, 'v\n'));
  writeFileSync(join(odd, 'acl'), 'acl');
  set(
    join(odd, 'acl'),
    'system.posix_acl_access',
    acl([1, 6], [2, 7, 1001], [4, 4], [8, 5, 2002], [16, 7], [32, 4]),
  );
  mkdirSync(join(odd, 'acl-default'));
  set(join(odd, 'acl-default'), 'system.posix_acl_access', acl([1, 7], [2, 5, 0], [4, 5], [16, 5], [32, 0]));
  set(
    join(odd, 'acl-default'),
    'system.posix_acl_default',
    acl([1, 7], [4, 5], [8, 7, 33], [16, 7], [32, 0]),
  );
  if (!privileged) return;
  set(attributed, 'trusted.binary', Buffer.from([1, 0, 2]));
  set(attributed, 'security.custom', Buffer.from('label\0'));
  writeFileSync(join(odd, 'capable'), '#!/bin/true\n', { mode: 0o755 });
  // vfs_cap_data revision 2, effective, cap_net_raw and cap_net_admin. Source: linux/capability.h
  set(
    join(odd, 'capable'),
    'security.capability',
    Buffer.from('0100000200300000000000000000000000000000', 'hex'),
  );
  set(join(odd, 'links/b-first'), 'trusted.on-hard-link', Buffer.from('1'));
}

/** The binary form of an ACL xattr: version 2, then tag, permissions and id of each entry. Source: acl(5), linux/posix_acl_xattr.h */
function acl(...entries: readonly (readonly [tag: number, perm: number, id?: number])[]): Buffer {
  const bytes = Buffer.alloc(4 + entries.length * 8);
  bytes.writeUInt32LE(2, 0);
  entries.forEach(([tag, perm, id], index) => {
    bytes.writeUInt16LE(tag, 4 + index * 8);
    bytes.writeUInt16LE(perm, 6 + index * 8);
    bytes.writeUInt32LE(id ?? 0xffffffff, 8 + index * 8);
  });
  return bytes;
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
