/**
 * Splits a tree into named artifacts (`runtime`, `devel`, …) by ordered rules, as morph's artifact splitting rules do:
 * the first rule that matches a path has it, and what else would have matched is reported rather than guessed at.
 */
import type { ByteString } from '../core/bytes.ts';
import { parentPath, type Entry } from './entry.ts';

export interface SplitRule {
  readonly artifact: string;
  /** Each matches from the start of a path without its leading slash; a directory's path ends with a slash. */
  readonly include: readonly RegExp[];
}

export interface SplitResult {
  /** In the order of the rules; each a canonical tree, with the directories that lead to what it has. */
  readonly artifacts: ReadonlyMap<string, readonly Entry[]>;
  /** Of what no rule matches: in no artifact. */
  readonly unmatched: readonly ByteString[];
  /** What several artifacts would have; the first of each has it. */
  readonly overlaps: readonly Overlap[];
}

export interface Overlap {
  readonly artifacts: readonly string[];
  readonly paths: readonly ByteString[];
}

/**
 * Everything but directories is routed; a directory goes along with what is below it, and is routed itself only when it
 * is empty. Names of one inode that go to different artifacts are links no longer.
 * @param entries a canonical tree
 */
export function splitTree(entries: readonly Entry[], rules: readonly SplitRule[]): SplitResult {
  const parents = new Set(entries.map(({ path }) => (path === '/' ? '' : parentPath(path))));
  const directories = new Map<ByteString, Entry>();
  const unmatched: ByteString[] = [];
  const overlaps = new Map<string, ByteString[]>();
  const parts = new Map(rules.map(({ artifact }) => [artifact, startPart()]));
  for (const entry of entries) {
    if (entry.type === 'directory') directories.set(entry.path, entry);
    if (entry.path === '/' || parents.has(entry.path)) continue;
    const matching = matchingArtifacts(entry, rules);
    const [first] = matching;
    if (first === undefined) unmatched.push(entry.path);
    else addTo(parts.get(first)!, entry, directories);
    if (matching.length > 1) remember(overlaps, matching, entry.path);
  }
  const root = entries[0];
  return {
    artifacts: new Map([...parts].map(([name, part]) => [name, finishPart(part, root)])),
    unmatched,
    overlaps: [...overlaps].map(([key, paths]) => ({ artifacts: key.split('\n'), paths })),
  };
}

/** Of an artifact: its directories as they are met, and then everything in canonical order. */
interface Part {
  readonly entries: Map<ByteString, Entry>;
  /** By the path that the inode's first name has in the whole tree: the first name that is here. */
  readonly firsts: Map<ByteString, ByteString>;
}

function startPart(): Part {
  return { entries: new Map(), firsts: new Map() };
}

function addTo(part: Part, entry: Entry, directories: ReadonlyMap<ByteString, Entry>): void {
  for (let path = parentPath(entry.path); path !== '/' && !part.entries.has(path); path = parentPath(path)) {
    part.entries.set(path, directories.get(path)!);
  }
  const { hardlink, ...own } = entry;
  const group = hardlink ?? entry.path;
  const first = part.firsts.get(group);
  if (first === undefined) part.firsts.set(group, entry.path);
  part.entries.set(entry.path, first === undefined ? own : { ...own, hardlink: first });
}

function finishPart({ entries }: Part, root: Entry | undefined): Entry[] {
  const sorted = [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  return root === undefined ? sorted : [root, ...sorted];
}

/** In the order of the rules, each once. */
function matchingArtifacts({ path, type }: Entry, rules: readonly SplitRule[]): string[] {
  const name = path.slice(1) + (type === 'directory' ? '/' : '');
  const found = rules.filter(({ include }) => include.some((pattern) => pattern.test(name)));
  return [...new Set(found.map(({ artifact }) => artifact))];
}

function remember(overlaps: Map<string, ByteString[]>, artifacts: readonly string[], path: ByteString): void {
  const key = artifacts.join('\n');
  const paths = overlaps.get(key);
  if (paths === undefined) overlaps.set(key, [path]);
  else paths.push(path);
}
