/** From staging into place: the renames of a transaction, and what is staged of a tree. */
import { createWriteStream, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Digest } from '../core/digest.ts';
import type { Entry } from '../tree/entry.ts';
import { manifestPacker, packManifest } from '../tree/manifest/pack.ts';
import { writeManifest } from '../tree/manifest/write.ts';
import { describeTree, type Manifest, type TreeDescription, type TreeName } from './describe-tree.ts';
import { shards, treeFile } from './layout.ts';
import { stagePart } from './trees.ts';
import type { Store } from './store.ts';
import { isErrno } from '../sys/errno.ts';

/** Every shard at once, so that workers never have to make one. */
export function makeShards(objects: string): void {
  mkdirSync(objects, { mode: 0o700 });
  for (const shard of shards) mkdirSync(`${objects}/${shard}`, { mode: 0o700 });
}

/** Manifest and object list, beside the staged objects. */
export async function stageTree(
  staging: string,
  named: TreeName,
  entries: readonly Entry[],
): Promise<TreeDescription> {
  // Packed on another thread while the rest is found out.
  const manifest = stageManifest(`${staging}/dump.zst`, named.manifest, entries);
  manifest.catch(() => undefined); // seen below
  const description = describeTree(entries, named);
  await manifest;
  await stagePart(`${staging}/objects.list`, description.objects);
  return description;
}

async function stageManifest(
  path: string,
  { length, text }: Manifest,
  entries: readonly Entry[],
): Promise<void> {
  if (text !== undefined) return await stagePart(path, await packManifest(text));
  const file = createWriteStream(path, { flags: 'wx', mode: 0o600 });
  await pipeline(writeManifest(entries), manifestPacker(length), file);
}

/** The manifest last: a tree is there when its manifest is. */
export function publishTree(store: Store, staging: string, tree: Digest): void {
  renameSync(`${staging}/objects.list`, treeFile(store.root, tree, 'objects'));
  renameSync(`${staging}/dump.zst`, treeFile(store.root, tree, 'dump.zst'));
}

/**
 * A shard that the store does not have yet moves as one directory, so that a first import costs 256 renames and
 * not one for each object. `each` hears of every object that is moved. @returns how many there were
 */
export function publishObjects(
  staged: string,
  objects: string,
  { only, each }: { only?: (object: Digest) => boolean; each: (object: Digest) => void },
): number {
  let count = 0;
  for (const shard of shards) {
    const all = readdirSync(`${staged}/${shard}`);
    const names = only === undefined ? all : all.filter((name) => only(shard + name));
    for (const name of names) each(shard + name);
    count += names.length;
    if (names.length === 0 || (names === all && moveWhole(`${staged}/${shard}`, `${objects}/${shard}`)))
      continue;
    for (const name of names) renameSync(`${staged}/${shard}/${name}`, `${objects}/${shard}/${name}`);
  }
  return count;
}

function moveWhole(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOTEMPTY', 'EEXIST')) return false;
    throw error;
  }
}
