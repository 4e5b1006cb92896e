/**
 * Variants: the same content under other inode metadata. What is hard-linked is an inode, so a file whose owner,
 * mode, time or xattrs differ from those its object carries needs an inode of its own; it is made once, on the
 * first hard-link checkout that needs it, and named by (content, meta).
 */
import { toBytes, type ByteString } from '../core/bytes.ts';
import { sha256, type Digest } from '../core/digest.ts';
import type { InodeMeta, Xattrs } from '../tree/entry.ts';
import { objectFile, variantFile } from './layout.ts';

/**
 * The one time of a checkout with `--mtime=clamp`: 1980-01-01 00:00:00 UTC, in seconds; the earliest that zip files can
 * hold, so that tools which pack from a checkout do not refuse it. An object that nothing else links to is given this
 * time instead of a variant, so objects carry it rightly.
 */
export const clampTime = 315_532_800;

/** Attributes that a security module of the kernel puts on an inode by itself. */
export function isAmbientXattr(name: ByteString): boolean {
  return /^security\.(?:selinux|ima|evm|SMACK64.*)$/.test(name);
}

/** What is found on an inode, without what no one asked for and a security module has added. */
export function withoutAmbient(found: Xattrs, wanted: Xattrs): Xattrs {
  if (found.length <= wanted.length) return found;
  return found.filter(([name]) => !isAmbientXattr(name) || wanted.some(([other]) => other === name));
}

/**
 * SHA-256 of the canonical form of inode metadata: `mode uid gid seconds.nanoseconds` (mode octal, nanoseconds nine
 * digits) and a newline, then per xattr in byte order of names `name=value` with both in hex and a newline.
 * It is a file name in the store and on hosts, so the form never changes.
 */
export function metaDigest(meta: InodeMeta): Digest {
  const { mode, uid, gid, mtime, mtimeNsec, xattrs } = meta;
  const nanoseconds = String(mtimeNsec).padStart(9, '0');
  const lines = xattrs.map(([name, value]) => `${hex(name)}=${hex(value)}\n`);
  return sha256(`${mode.toString(8)} ${uid} ${gid} ${mtime}.${nanoseconds}\n${lines.join('')}`);
}

/**
 * The files that may serve a hard link of this inode, in the order to try them: the object, its variant, and further
 * copies of that for when a file has all the links its file system allows (ext4: 65,000). Endless.
 */
export function* inodeFiles(root: string, digest: Digest, meta: () => Digest): Generator<string, never> {
  yield objectFile(root, digest);
  const variant = variantFile(root, digest, meta());
  yield variant;
  for (let copy = 1; ; copy++) yield `${variant}.${copy}`;
}

function hex(bytes: string): string {
  return toBytes(bytes).toString('hex');
}
