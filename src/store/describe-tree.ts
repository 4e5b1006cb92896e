/** Everything that is derived from a list of entries when a tree is stored: its name, its objects, its row. */
import { sha256, sha256Stream, type Digest } from '../core/digest.ts';
import type { Entry } from '../tree/entry.ts';
import { exceedsXattrLimit } from '../tree/erofs/image-entry.ts';
import { writeManifest } from '../tree/manifest/write.ts';
import { packObjects, type TreeRow, type TreeTraits } from './trees.ts';

export interface TreeName {
  readonly tree: Digest;
  readonly manifest: Manifest;
}

export interface Manifest {
  /** In bytes. */
  readonly length: number;
  /** Its text, where that is short enough to be kept; else it is written again when it is needed. */
  readonly text: readonly Buffer[] | undefined;
}

/** Of a tree of some 200,000 files. That of a million is 140 MB. */
const keptBytes = 32 << 20;

export interface TreeDescription extends TreeName {
  /** Their digests, sorted, each once, 32 bytes each. */
  readonly objects: Buffer;
  /** `verifiedAt` is 0: whoever has hashed the objects says when. */
  readonly row: TreeRow;
}

/** Enough where the store turns out to have the tree. */
export function nameTree(entries: readonly Entry[]): TreeName {
  const hasher = sha256Stream();
  const text: Buffer[] = [];
  let length = 0;
  for (const chunk of writeManifest(entries)) {
    hasher.update(chunk);
    length += chunk.length;
    if (length <= keptBytes) text.push(chunk);
    else text.length = 0;
  }
  return { tree: hasher.digest('hex'), manifest: { length, text: length <= keptBytes ? text : undefined } };
}

export function describeTree(entries: readonly Entry[], named = nameTree(entries)): TreeDescription {
  const objects = packObjects(objectsOf(entries));
  const bytes = entries.reduce(
    (sum, entry) => (entry.type === 'file' && entry.hardlink === undefined ? sum + entry.size : sum),
    0,
  );
  const row: TreeRow = {
    files: entries.length,
    bytes,
    objects: sha256(objects),
    verifiedAt: 0,
    traits: traitsOf(entries),
  };
  return { ...named, objects, row };
}

/** Sorted, each once. A set of a million would take more memory than all that it is for. */
function objectsOf(entries: readonly Entry[]): Digest[] {
  const digests: Digest[] = [];
  for (const { digest } of entries) if (digest !== undefined) digests.push(digest);
  digests.sort();
  return digests.filter((digest, at) => digest !== digests[at - 1]);
}

function traitsOf(entries: readonly Entry[]): TreeTraits {
  let [whiteouts, overlayXattrs, bigXattrs] = [false, false, false];
  for (const { type, rdev, xattrs } of entries) {
    if (type === 'char' && rdev === 0) whiteouts = true;
    if (xattrs.length === 0) continue;
    overlayXattrs ||= xattrs.some(([name]) => /^(?:trusted|user)\.overlay\./.test(name));
    bigXattrs ||= exceedsXattrLimit(xattrs);
  }
  return { whiteouts, overlayXattrs, bigXattrs };
}
