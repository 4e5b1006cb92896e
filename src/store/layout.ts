/**
 * Where everything of a store lies. The one place that knows the directory tree:
 *
 *   <store>/                    0700
 *     format                    "rootcellar 1\n"
 *     objects/ab/cdef…          content, named by its SHA-256
 *     variants/ab/cdef…/<meta>  same content under other inode metadata (hard-link checkouts)
 *     trees/<sha256>.dump.zst   manifest         trees/<sha256>.objects   its objects, 32-byte names, sorted
 *     trees/<sha256>.erofs      derived from the manifest, rebuilt at will
 *     cellar.db, cellar.db.sum  rows, and the digest of the database file at rest
 *     journal                   text copy of every row written, to rebuild the database from
 *     tmp/                      staging of transactions and leases of readers; each swept once nobody holds its flock
 *     downloads/                parts of transfers under way, kept to be resumed; flocks of single flights; empty files
 *                               that tell by their time when upstream was last asked
 *     keys/, keys/secret/       OpenPGP keys: public ones that pull trusts, secret ones that export signs with
 *     logs/                     what the commands of the last build of each reference said
 *     mnt/, checkouts/          shared EROFS mounts; uppers of writable checkouts
 *     lock, turnstile, db.lock  flock(2) only, never content
 *     reserve                   a mebibyte to give up when the disk is full
 */
import { digestPath, type Digest } from '../core/digest.ts';

export const storeFormat = 'rootcellar 1';

export const directories = ['objects', 'variants', 'trees', 'tmp', 'downloads', 'mnt', 'checkouts'] as const;

export type TreeFile = 'dump.zst' | 'objects' | 'erofs';

export function objectFile(root: string, digest: Digest): string {
  return `${root}/objects/${digestPath(digest)}`;
}

/** `meta` is the SHA-256 of the canonical inode metadata (see variants.ts). */
export function variantFile(root: string, digest: Digest, meta: Digest): string {
  return `${variantDirectory(root, digest)}/${meta}`;
}

export function variantDirectory(root: string, digest: Digest): string {
  return `${root}/variants/${digestPath(digest)}`;
}

export function treeFile(root: string, tree: Digest, part: TreeFile): string {
  return `${root}/trees/${tree}.${part}`;
}

export function inStore(
  root: string,
  name:
    | 'format'
    | 'cellar.db'
    | 'cellar.db.sum'
    | 'journal'
    | 'lock'
    | 'turnstile'
    | 'db.lock'
    | 'reserve'
    | 'keys'
    | 'logs'
    | (typeof directories)[number],
): string {
  return `${root}/${name}`;
}

/** The two-digit directories under `objects/`. */
export const shards: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, '0'),
);
