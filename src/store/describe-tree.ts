/** Everything that is derived from a list of entries when a tree is stored: its name, its objects, its row. */
import { createHash } from 'node:crypto';
import type { Digest } from '../core/digest.ts';
import type { Entry } from '../tree/entry.ts';
import { exceedsXattrLimit } from '../tree/erofs/image-entry.ts';
import { writeManifest } from '../tree/manifest/write.ts';
import { packObjects, type TreeRow, type TreeTraits } from './trees.ts';

export interface NamedManifest {
  readonly tree: Digest;
  readonly manifest: readonly Buffer[];
}

export interface TreeDescription extends NamedManifest {
  /** Sorted, each once. */
  readonly objects: readonly Digest[];
  /** `verifiedAt` is 0: whoever has hashed the objects says when. */
  readonly row: TreeRow;
}

/** The manifest and its digest: enough where the store turns out to have the tree. */
export function nameTree(entries: readonly Entry[]): NamedManifest {
  const hasher = createHash('sha256');
  const manifest: Buffer[] = [];
  for (const chunk of writeManifest(entries)) {
    hasher.update(chunk);
    manifest.push(chunk);
  }
  return { tree: hasher.digest('hex'), manifest };
}

export function describeTree(entries: readonly Entry[], named = nameTree(entries)): TreeDescription {
  const objects = objectsOf(entries);
  const bytes = entries.reduce(
    (sum, entry) => (entry.type === 'file' && entry.hardlink === undefined ? sum + entry.size : sum),
    0,
  );
  const row: TreeRow = {
    files: entries.length,
    bytes,
    objects: createHash('sha256').update(packObjects(objects)).digest('hex'),
    verifiedAt: 0,
    traits: traitsOf(entries),
  };
  return { ...named, objects, row };
}

function objectsOf(entries: readonly Entry[]): Digest[] {
  const digests = new Set<Digest>();
  for (const { digest } of entries) if (digest !== undefined) digests.add(digest);
  return [...digests].sort();
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
