/**
 * Inode metadata under fsck: an object's inode carries the metadata of some entry that has its content, since
 * hard-link checkouts show it. A difference is harmless to content and mended by applying an entry's again.
 */
import { closeSync, openSync } from 'node:fs';
import { fromText } from '../../core/bytes.ts';
import type { Digest } from '../../core/digest.ts';
import { lstatFull } from '../../sys/stat.ts';
import { listXattrs } from '../../sys/xattr.ts';
import type { Entry, InodeMeta } from '../../tree/entry.ts';
import { applyMeta } from '../ingest/stager.ts';
import { objectFile } from '../layout.ts';
import { objectSize } from '../objects.ts';
import type { Store } from '../store.ts';
import { readTree } from '../trees.ts';
import { sameXattrs } from '../../tree/canonical.ts';
import { clampTime, isAmbientXattr } from '../variants.ts';

/** Metadata each object may carry. */
export type ExpectedInodes = Map<Digest, InodeMeta[]>;

export function expectInodes(expected: ExpectedInodes, entries: readonly Entry[]): void {
  for (const entry of entries) {
    if (entry.digest === undefined || entry.hardlink !== undefined) continue;
    const known = expected.get(entry.digest);
    if (known === undefined) expected.set(entry.digest, [entry]);
    else if (!known.some((meta) => sameMeta(meta, entry))) known.push(entry);
  }
}

/** What is wrong with the inode of `object`, or `undefined`. Objects of no tree are not judged. */
export function checkMetadata(
  store: Store,
  object: Digest,
  allowed: readonly InodeMeta[] | undefined,
): string | undefined {
  if (allowed === undefined) return undefined;
  const path = fromText(objectFile(store.root, object));
  const stat = lstatFull(path);
  const xattrs = store.privileged ? listXattrs(path) : [];
  // Given to it by a hard-link checkout with one time for all.
  const clamped = stat.mtime === clampTime && stat.mtimeNsec === 0;
  const fits = allowed.some(
    (meta) =>
      (clamped || (stat.mtime === meta.mtime && stat.mtimeNsec === meta.mtimeNsec)) &&
      stat.perm === (store.privileged ? meta.mode : meta.mode | 0o400) &&
      (!store.privileged || (stat.uid === meta.uid && stat.gid === meta.gid)) &&
      // What this file system cannot hold may be absent, but nothing may be there that no entry has.
      xattrs.every(
        ([name, value]) =>
          isAmbientXattr(name) || meta.xattrs.some((known) => known[0] === name && known[1] === value),
      ),
  );
  return fits ? undefined : 'mode, owner, time or xattrs are not those of any entry with this content';
}

/**
 * Give each of `objects` whose inode fits no entry the metadata of one that has its content. Needed when the tree
 * that brought an object goes while others keep it, and when something changed the inode.
 */
export function adoptMetadata(store: Store, objects: ReadonlySet<Digest>): void {
  if (objects.size === 0) return;
  const expected: ExpectedInodes = new Map();
  for (const { key } of store.rows.list('tree')) {
    expectInodes(
      expected,
      readTree(store, key).filter(({ digest }) => digest !== undefined && objects.has(digest)),
    );
  }
  for (const [object, allowed] of expected) {
    if (objectSize(store.root, object) === undefined || checkMetadata(store, object, allowed) === undefined)
      continue;
    const fd = openSync(objectFile(store.root, object), 'r');
    try {
      applyMeta(fd, allowed[0]!, store.privileged);
    } finally {
      closeSync(fd);
    }
  }
}

function sameMeta(a: InodeMeta, b: InodeMeta): boolean {
  return (
    a.mtime === b.mtime &&
    a.mtimeNsec === b.mtimeNsec &&
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    sameXattrs(a.xattrs, b.xattrs)
  );
}
