/** From staging into place: the renames of a transaction, and what is staged of a tree. */
import { mkdirSync, readdirSync, renameSync } from 'node:fs';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import type { Digest } from '../core/digest.ts';
import type { TreeDescription } from './describe-tree.ts';
import { shards, treeFile } from './layout.ts';
import { packObjects, stagePart } from './trees.ts';
import type { Store } from './store.ts';

/** Every shard at once, so that workers never have to make one. */
export function makeShards(objects: string): void {
  mkdirSync(objects, { mode: 0o700 });
  for (const shard of shards) mkdirSync(`${objects}/${shard}`, { mode: 0o700 });
}

/** Manifest and object list, beside the staged objects. */
export async function stageTree(staging: string, { objects, manifest }: TreeDescription): Promise<void> {
  await stagePart(`${staging}/objects.list`, packObjects(objects));
  await stagePart(`${staging}/dump.zst`, await packManifest(manifest));
}

/** The manifest last: a tree is there when its manifest is. */
export function publishTree(store: Store, staging: string, tree: Digest): void {
  renameSync(`${staging}/objects.list`, treeFile(store.root, tree, 'objects'));
  renameSync(`${staging}/dump.zst`, treeFile(store.root, tree, 'dump.zst'));
}

/**
 * A shard that the store does not have yet moves as one directory, so that a first import costs 256 renames and
 * not one for each object.
 */
export function publishObjects(
  staged: string,
  objects: string,
  arrived: Set<Digest>,
  only?: (object: Digest) => boolean,
): void {
  for (const shard of shards) {
    const all = readdirSync(`${staged}/${shard}`);
    const names = only === undefined ? all : all.filter((name) => only(shard + name));
    for (const name of names) arrived.add(shard + name);
    if (names.length === 0 || (names === all && moveWhole(`${staged}/${shard}`, `${objects}/${shard}`)))
      continue;
    for (const name of names) renameSync(`${staged}/${shard}/${name}`, `${objects}/${shard}/${name}`);
  }
}

function moveWhole(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
    throw error;
  }
}

const compress = promisify(zstdCompress);

/** Level 3 everywhere: a manifest is a few per cent of its content's size, and is read at every checkout that is not a mount. */
async function packManifest(chunks: readonly Uint8Array[]): Promise<Buffer> {
  return await compress(Buffer.concat(chunks), {
    params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 },
  });
}
