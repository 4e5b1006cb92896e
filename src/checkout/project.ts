/** From a stored tree to what a checkout is to show: a subtree, shifted owners, one time. */
import { toText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import type { Entry } from '../tree/entry.ts';
import { shiftEntry, type IdMap } from './idmap.ts';
import { clampTime } from '../store/variants.ts';

export interface Projection {
  readonly subpath: ByteString;
  readonly idmap: IdMap | undefined;
  readonly mtime: 'keep' | 'clamp';
}

/** @throws E_PATH_NOT_FOUND, E_USAGE (the subpath is no directory, an owner lies outside the id map) */
export function project(entries: readonly Entry[], projection: Projection): readonly Entry[] {
  const { subpath, idmap, mtime } = projection;
  let shown = subpath === '/' ? entries : subtree(entries, subpath);
  if (idmap !== undefined) shown = shown.map((entry) => shiftEntry(entry, idmap));
  if (mtime === 'clamp') shown = shown.map((entry) => ({ ...entry, mtime: clampTime, mtimeNsec: 0 }));
  return shown;
}

/** The directory at `top` with all below it, re-rooted; of hard links the first name inside becomes the file. */
export function subtree(entries: readonly Entry[], top: ByteString): Entry[] {
  const root = entries.find(({ path }) => path === top);
  if (root === undefined)
    throw new CellarError('E_PATH_NOT_FOUND', {
      details: { path: toText(top), reference: 'the tree' },
      hint: 'it is looked for from the root of the image',
    });
  if (root.type !== 'directory')
    throw new CellarError('E_USAGE', { details: { problem: `${toText(top)} is not a directory` } });
  const firstInside = new Map<ByteString, ByteString>();
  const prefix = `${top}/`;
  const inside = entries.filter(({ path }) => path.startsWith(prefix));
  return [
    { ...root, path: '/' },
    ...inside.map((entry) => {
      const path = entry.path.slice(top.length);
      const first = firstInside.get(entry.hardlink ?? entry.path);
      if (first === undefined) firstInside.set(entry.hardlink ?? entry.path, path);
      const { hardlink, ...own } = entry;
      return first === undefined ? { ...own, path } : { ...own, path, hardlink: first };
    }),
  ];
}
