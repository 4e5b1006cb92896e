/**
 * What an image's LXC metadata asks for inside its root: files with placeholders, and paths to leave out. The tree may
 * come from anybody, so only regular files that are reached without a symlink are written to.
 */
import { chmodSync, chownSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { fromText, toBytes } from '../../core/bytes.ts';
import { compileExcludes } from '../../tree/exclude.ts';
import type { Entry } from '../../tree/entry.ts';
import { findEntry } from '../../tree/lookup.ts';
import { substitute, type LxcPlace } from './definition.ts';
import { metadataLines, type LxcMetadata } from './metadata.ts';

/** Files beyond this are no templates. */
const largestTemplate = 1 << 20;

/** Whether there is anything to do. */
export function changesRoot(metadata: LxcMetadata | undefined): boolean {
  return (
    metadata !== undefined &&
    ['templates', 'excludes'].some((name) => metadataLines(metadata, name).length > 0)
  );
}

/** `root` is a fresh, writable checkout of `entries`. */
export function prepareRoot(
  root: string,
  { entries, metadata, place }: { entries: readonly Entry[]; metadata: LxcMetadata; place: LxcPlace },
): void {
  leaveOut(root, entries, metadataLines(metadata, 'excludes'));
  for (const line of metadataLines(metadata, 'templates')) {
    const path = `/${fromText(line).replace(/^\/+/, '')}`;
    const entry = findEntry(entries, path);
    // A path of the tree that has this very entry has only directories above it.
    if (entry?.type !== 'file' || entry.size > largestTemplate) continue;
    const file = toBytes(fromText(root) + path);
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat?.isFile() !== true) continue;
    const text = readFileSync(file, 'latin1');
    const done = substitute(text, place);
    if (done === text) continue;
    // A new inode: the old one may have other names, which are no templates.
    rmSync(file);
    writeFileSync(file, done, { encoding: 'latin1', flag: 'wx' });
    chownSync(file, stat.uid, stat.gid);
    chmodSync(file, stat.mode & 0o7777);
  }
}

function leaveOut(root: string, entries: readonly Entry[], patterns: readonly string[]): void {
  if (patterns.length === 0) return;
  const isExcluded = compileExcludes(
    patterns.map((pattern) => (pattern.startsWith('/') ? pattern : `/${pattern.replace(/^\.\//, '')}`)),
  );
  for (const { path } of entries.filter((entry) => isExcluded(entry.path)).toReversed())
    rmSync(toBytes(fromText(root) + path), { recursive: true, force: true });
}
