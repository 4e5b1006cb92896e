/** What tests of checkouts share: a store with one image in it, and everything that must be gone after a release. */
import { lstatSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ignoreEvents, type CellarEvent } from '../../src/core/events.ts';
import type { Context } from '../../src/ops/context.ts';
import { importImage } from '../../src/ops/import.ts';
import { openStore } from '../../src/store/store.ts';
import { resolveImage } from '../../src/store/resolve.ts';
import { privileged } from './run.ts';

export const reference = 'tree:v1';

/** Methods of checkouts that work on any file system here: root's hard links are sealed by a mount. */
export const plainMethods: readonly string[] =
  process.geteuid?.() === 0 && !privileged ? ['copy'] : ['copy', 'hardlink'];

export interface StoredTree {
  readonly context: Context;
  /** Directory for checkouts, on the store's file system. */
  readonly work: string;
  readonly events: CellarEvent[];
}

/** A new store below `parent` that holds the directory `source`. */
export async function storeTree(parent: string, source: string): Promise<StoredTree> {
  const events: CellarEvent[] = [];
  const storeRoot = join(parent, 'store');
  const work = join(parent, 'work');
  mkdirSync(work);
  const context: Context = {
    storeRoot,
    signal: new AbortController().signal,
    events: (event) => events.push(event),
  };
  await importImage({ ...context, events: ignoreEvents }, { source, reference });
  return { context, work, events };
}

/** What an image of the store is of: for a tree its digest. */
export function contentOf(context: Context, text: string): string {
  using store = openStore(context.storeRoot);
  return resolveImage(store, text).record.content;
}

/** Ordinary files with one name and some content, in order. */
export function plainFiles(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.startsWith(join(root, 'odd')))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .filter((path) => lstatSync(join(root, path)).nlink === 1 && lstatSync(join(root, path)).size > 10)
    .sort();
}

/** Mounts below or of a path, loop devices of files below it: all of them as text lines. */
export function traces(path: string): string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(`${path}/`));
  const loops = readdirSync('/sys/block')
    .filter((name) => name.startsWith('loop'))
    .map((name) => backingFile(name))
    .filter((file) => file.startsWith(`${path}/`));
  return [...mounts, ...loops];
}

/** What a store keeps for checkouts and in its staging, but for whole bases, which stay until gc. */
export function kept(storeRoot: string): string[] {
  const shared = readdirSync(join(storeRoot, 'mnt'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'erofs')
    .flatMap((entry) => readdirSync(join(storeRoot, 'mnt', entry.name)))
    .filter((name) => !/^[0-9a-f]{64}-[0-9a-f]{16}$/.test(name));
  return [...shared, ...readdirSync(join(storeRoot, 'checkouts')), ...readdirSync(join(storeRoot, 'tmp'))];
}

function backingFile(name: string): string {
  try {
    return readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8').trim();
  } catch {
    return '';
  }
}
