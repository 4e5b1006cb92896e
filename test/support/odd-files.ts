/** Every oddity that a root file system can have: names, modes, links, holes, devices, xattrs. */
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { device, mknod, setXattr } from './raw.ts';
import { randomBytes } from './random.ts';
import { privileged } from './run.ts';
import type { TreeOptions } from './tree.ts';

/** Below `odd` in the tree `root`. */
export function oddities(root: string, options: TreeOptions, random: () => number): void {
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
