/**
 * Hard links in an overlay. With `index=on` the first write to any name of a lower inode copies the inode into
 * `work/index`, and every other name shows the copy from then on though the upper has no file of that name. So names
 * that look untouched have to be compared, by inode number in the view, with those that were touched.
 */
import { readdirSync } from 'node:fs';
import { toBytes, type ByteString } from '../core/bytes.ts';
import { isErrno } from '../sys/errno.ts';
import { lstatFull } from '../sys/stat.ts';
import { getXattr } from '../sys/xattr.ts';
import type { Candidate } from './candidate.ts';
import { describeInode, inodeKey } from './directory.ts';
import { formatBits, type Entry } from './entry.ts';

/** A candidate before its group is known: `entry.hardlink` is stale, `key` is the same for all names of an inode. */
export interface Item extends Candidate {
  readonly key?: string;
}

/** Replaces, in `items`, names of lower hard links that show a copied-up inode. */
export function joinIndexed(layers: { work: ByteString; view: ByteString }, items: Item[]): void {
  const index = readIndex(`${layers.work}/index`);
  if (index.length === 0) return;
  const touched = new Map<string, Item>();
  for (const item of items)
    if (item.isTakenOver !== true && item.key !== undefined) touched.set(item.key, item);
  // An inode whose touched names are all gone again is known by nothing but the index.
  const orphans = index.filter(({ nlink }) => nlink === 1);
  const rewritten = orphans.some(({ isMetacopy }) => !isMetacopy);
  for (const [at, item] of items.entries()) {
    if (item.isTakenOver !== true || item.key === undefined) continue;
    const location = layers.view + item.entry.path;
    const stat = lstatFull(location);
    const key = inodeKey(stat);
    const same = touched.get(key);
    if (same !== undefined) items[at] = { ...same, entry: { ...same.entry, path: item.entry.path } };
    else if (orphans.length > 0) {
      const found = describeInode(item.entry.path, stat, location);
      const digest = rewritten || found.size !== item.entry.size ? undefined : item.entry.digest;
      const isRead = digest === undefined && found.type === 'file' && found.size > 0;
      items[at] = {
        entry: digest === undefined ? found : { ...found, digest },
        origin: item.origin,
        key,
        ...(isRead ? { read: { location, stat } } : {}),
      };
    }
  }
}

/** Canonical order; the first name of each inode becomes the file and the others its hard links. */
export function groupItems(items: Item[]): Candidate[] {
  const firsts = new Map<string, Entry>();
  return items
    .sort((a, b) => (a.entry.path < b.entry.path ? -1 : 1))
    .map((item) => {
      if (item.key === undefined) return item;
      const first = firsts.get(item.key);
      const { hardlink: _, ...own } = item.entry;
      if (first === undefined) {
        firsts.set(item.key, own);
        return { ...item, entry: own };
      }
      return {
        entry: { ...first, path: own.path, hardlink: first.path },
        ...(item.isTakenOver === true ? { isTakenOver: true } : {}),
      };
    });
}

interface Indexed {
  readonly nlink: number;
  readonly isMetacopy: boolean;
}

function readIndex(directory: ByteString): Indexed[] {
  let names: string[];
  try {
    names = readdirSync(toBytes(directory), { encoding: 'latin1' });
  } catch (error) {
    // An overlay without index makes no such directory.
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
  return names.flatMap((name) => {
    // `#…` are the kernel's temporaries, among them the one inode that all whiteouts are links to.
    if (name.startsWith('#')) return [];
    const stat = lstatFull(`${directory}/${name}`);
    if (stat.type === formatBits.directory) return [];
    const isMetacopy = getXattr(`${directory}/${name}`, 'trusted.overlay.metacopy') !== undefined;
    return [{ nlink: stat.nlink, isMetacopy }];
  });
}
