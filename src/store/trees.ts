/**
 * Trees at rest: the manifest (zstd), the sorted list of its objects, and the EROFS image derived from it.
 * Whatever is read here is checked against its digest first; nothing damaged is ever handed on.
 */
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { fromText } from '../core/bytes.ts';
import { sha256, type Digest } from '../core/digest.ts';
import { CellarError, isCellarError } from '../core/errors.ts';
import { writeFileAtomic } from '../sys/atomic.ts';
import type { Entry } from '../tree/entry.ts';
import { unpackManifest } from '../tree/manifest/pack.ts';
import { manifestEntries, readManifest } from '../tree/manifest/read.ts';
import { faultAtRest } from './at-rest.ts';
import { treeFile } from './layout.ts';
import { requireWritable, type Store } from './store.ts';

/** What the database knows of a tree. */
export interface TreeRow {
  /** Names in the tree; logical bytes of its regular files, each inode once. */
  readonly files: number;
  readonly bytes: number;
  /** Digest of the `.objects` file, and of the EROFS image once it has been derived. */
  readonly objects: Digest;
  readonly erofs?: Digest;
  /** Milliseconds since the epoch: content of objects not changed (ctime) after this moment was hashed and right. */
  readonly verifiedAt: number;
  /** Why some checkout methods do not serve this tree (see methods' `available`). */
  readonly traits: TreeTraits;
}

export interface TreeTraits {
  /** It holds character devices 0:0, which overlayfs takes for whiteouts. */
  readonly whiteouts: boolean;
  /** It holds `*.overlay.*` xattrs, which overlayfs would interpret. */
  readonly overlayXattrs: boolean;
  /** Some inode has more xattrs than an EROFS image holds; the limit is 32 KiB an inode. */
  readonly bigXattrs: boolean;
}

/** @throws E_TREE_MISSING */
export function treeRow(store: Store, tree: Digest): TreeRow {
  const row = store.rows.get<TreeRow>('tree', tree);
  if (row === undefined) throw new CellarError('E_TREE_MISSING', { details: { tree } });
  return row;
}

/** The tree in canonical order. @throws E_TREE_MISSING, E_TREE_DAMAGED */
export function readTree(store: Store, tree: Digest): Entry[] {
  // Its digest is the tree's name, and the writer gives no name to entries out of form.
  return readManifest(readManifestText(store, tree), { strict: false });
}

/** The same one after another. @throws as {@link readTree}, before the first */
export function* treeEntries(store: Store, tree: Digest): Generator<Entry> {
  yield* manifestEntries(readManifestText(store, tree));
}

/** The manifest's bytes, verified. @throws E_TREE_MISSING, E_TREE_DAMAGED */
export function readManifestText(store: Store, tree: Digest): Buffer {
  const packed = readPart(store, tree, 'dump.zst');
  let text: Buffer;
  try {
    text = unpackManifest(packed);
  } catch (cause) {
    throw new CellarError('E_TREE_DAMAGED', { details: { tree, part: 'manifest' }, cause });
  }
  if (sha256(text) !== tree) throw new CellarError('E_TREE_DAMAGED', { details: { tree, part: 'manifest' } });
  return text;
}

/** Known, with manifest and object list as they should be. */
export function treeIsWhole(store: Store, tree: Digest): boolean {
  if (store.rows.get('tree', tree) === undefined) return false;
  try {
    readManifestText(store, tree);
    readObjectList(store, tree);
    return true;
  } catch (error) {
    if (isCellarError(error)) return false;
    throw error;
  }
}

/** Names of the tree's objects, sorted. @throws E_TREE_MISSING, E_TREE_DAMAGED */
export function treeObjects(store: Store, tree: Digest): Digest[] {
  return unpackObjects(readObjectList(store, tree));
}

/** Path of the tree's EROFS image, derived now if it is absent or damaged. @throws E_EROFS_LIMIT besides */
export async function ensureErofs(store: Store, tree: Digest): Promise<string> {
  const file = treeFile(store.root, tree, 'erofs');
  const known = treeRow(store, tree).erofs;
  if (known !== undefined && existsSync(file) && sha256(readFileSync(file)) === known) return file;
  requireWritable(store);
  // Loaded here only: most commands never write an image.
  const { writeErofs } = await import('../tree/erofs/write.ts');
  const image = writeErofs(readTree(store, tree));
  const digest = sha256(image);
  writeFileAtomic(fromText(file), image, { mode: 0o600 });
  store.rows.update(() => {
    const value: TreeRow = { ...treeRow(store, tree), erofs: digest };
    return { changes: [{ kind: 'tree', key: tree, value }], result: undefined };
  });
  return file;
}

/** Note that every object of `tree` was found whole at `at` (milliseconds since the epoch). */
export function markVerified(store: Store, tree: Digest, at: number): void {
  if (store.readOnly) return;
  store.rows.update(() => {
    const row = treeRow(store, tree);
    const changes =
      row.verifiedAt >= at ? [] : [{ kind: 'tree' as const, key: tree, value: { ...row, verifiedAt: at } }];
    return { changes, result: undefined };
  });
}

export function packObjects(sorted: readonly Digest[]): Buffer {
  const packed = Buffer.allocUnsafeSlow(sorted.length * digestBytes);
  // One by one: the text of a million joined is larger than all that is made of it.
  for (const [at, digest] of sorted.entries()) packed.write(digest, at * digestBytes, 'hex');
  return packed;
}

const digestBytes = 32;

export function unpackObjects(packed: Buffer): Digest[] {
  const hex = packed.toString('hex');
  return Array.from({ length: hex.length / 64 }, (_, at) => hex.slice(at * 64, at * 64 + 64));
}

/** Write a staged file in full. */
export async function stagePart(path: string, data: Uint8Array): Promise<void> {
  await writeFile(path, data, { mode: 0o600, flag: 'wx' });
}

function readObjectList(store: Store, tree: Digest): Buffer {
  const packed = readPart(store, tree, 'objects');
  if (sha256(packed) !== treeRow(store, tree).objects) {
    throw new CellarError('E_TREE_DAMAGED', { details: { tree, part: 'object list' } });
  }
  return packed;
}

const partNames = { 'dump.zst': 'manifest', objects: 'object list' } as const;

function readPart(store: Store, tree: Digest, part: keyof typeof partNames): Buffer {
  try {
    return readFileSync(treeFile(store.root, tree, part));
  } catch (cause) {
    const fault = faultAtRest(cause);
    if (fault === undefined) throw cause;
    if (fault === 'missing') throw new CellarError('E_TREE_MISSING', { details: { tree }, cause });
    throw new CellarError('E_TREE_DAMAGED', { details: { tree, part: partNames[part] }, cause });
  }
}
