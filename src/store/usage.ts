/** Disk accounting: what each image costs alone, what images share, and what the store as a whole takes. */
import { lstatSync, readdirSync, statSync } from 'node:fs';
import { fromText } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import type { ImageKind, ImageRecord } from '../core/record.ts';
import { imageObjects } from './blobs.ts';
import { inStore } from './layout.ts';
import { namesByImage } from './references.ts';
import { listImages } from './resolve.ts';
import type { Store } from './store.ts';
import { allocatedBelow, type Counted } from '../sys/disk-usage.ts';

export interface ImageUsage {
  readonly image: Digest;
  readonly kind: ImageKind;
  /** Digest of the tree, OCI manifest or file. */
  readonly content: Digest;
  /** Canonical `name:tag` of every reference to it. */
  readonly references: readonly string[];
  /** Logical bytes of its files; bytes of objects that no image of other content has; bytes of those it shares with such. */
  readonly bytes: number;
  readonly unique: number;
  readonly shared: number;
}

export interface StoreUsage {
  /** What would free most comes first. */
  readonly images: readonly ImageUsage[];
  /**
   * Sum of the images' bytes; what the store takes on disk, in all and by part (allocated bytes). The reserve is no part of
   * it: it is there to be given up (reserve.ts).
   */
  readonly logicalBytes: number;
  readonly storedBytes: number;
  readonly parts: {
    readonly objects: number;
    /** Copies of content under other inode metadata: the cost of hard-link checkouts with `--mtime=keep`. */
    readonly variants: number;
    readonly trees: number;
    /** Trees written out once for checkouts that stand on them; links into objects are not counted again. */
    readonly bases: number;
    /** With its journal, its sum, and what a repair has replaced. */
    readonly database: number;
    readonly staging: number;
    /** Parts of transfers that are under way or were broken off. */
    readonly downloads: number;
    /** Keys, and the logs of builds. */
    readonly others: number;
  };
  /** Uppers of writable checkouts: outside the store's bound. */
  readonly checkouts: number;
}

export function measureUsage(store: Store): StoreUsage {
  const objects = measureObjects(store.root);
  const images = listImages(store);
  const owners = contentsByObject(store, images);
  const names = namesByImage(store);
  const usage = images.map(({ digest, record }): ImageUsage => {
    let [unique, shared] = [0, 0];
    for (const object of new Set(imageObjects(store, record))) {
      const size = objects.sizes.get(object) ?? 0;
      if (owners.get(object) === 1) unique += size;
      else shared += size;
    }
    return {
      image: digest,
      kind: record.kind,
      content: record.content,
      references: names.get(digest) ?? [],
      bytes: record.bytes,
      unique,
      shared,
    };
  });
  const parts = measureParts(store.root, objects.allocated);
  return {
    images: usage.toSorted(
      (one, other) =>
        other.unique - one.unique || other.bytes - one.bytes || (one.image < other.image ? -1 : 1),
    ),
    logicalBytes: usage.reduce((sum, { bytes }) => sum + bytes, 0),
    storedBytes: sumOf(parts),
    parts,
    checkouts: below(store.root, 'checkouts'),
  };
}

/** What the store takes on disk, as `storedBytes` of its usage. */
export function storedBytes({ root }: Pick<Store, 'root'>): number {
  return sumOf(measureParts(root, measureObjects(root).allocated));
}

function measureParts(root: string, objects: number): StoreUsage['parts'] {
  return {
    objects,
    variants: below(root, 'variants'),
    trees: below(root, 'trees'),
    bases: below(root, 'mnt', { links: false }),
    database: [
      'cellar.db',
      'cellar.db-wal',
      'cellar.db-shm',
      'cellar.db.sum',
      'cellar.db.damaged',
      'journal',
    ].reduce((sum, name) => sum + allocated(`${root}/${name}`), 0),
    // Its directories come and go with it.
    staging: below(root, 'tmp', { directories: false }),
    downloads: below(root, 'downloads'),
    others: below(root, 'keys') + below(root, 'logs'),
  };
}

function sumOf(parts: StoreUsage['parts']): number {
  return Object.values(parts).reduce((sum, bytes) => sum + bytes, 0);
}

function measureObjects(root: string): { sizes: Map<Digest, number>; allocated: number } {
  const sizes = new Map<Digest, number>();
  const directory = inStore(root, 'objects');
  let total = 0;
  for (const shard of readdirSync(directory)) {
    total += allocated(`${directory}/${shard}`);
    for (const name of readdirSync(`${directory}/${shard}`)) {
      const stat = lstatSync(`${directory}/${shard}/${name}`, { throwIfNoEntry: false });
      // A collection may be at work.
      if (stat === undefined) continue;
      sizes.set(shard + name, stat.size);
      total += stat.blocks * 512;
    }
  }
  return { sizes, allocated: total };
}

/** How many different contents need each object. */
function contentsByObject(store: Store, images: readonly { record: ImageRecord }[]): Map<Digest, number> {
  const owners = new Map<Digest, number>();
  const contents = new Map(images.map(({ record }) => [record.content, record]));
  for (const record of contents.values()) {
    for (const object of new Set(imageObjects(store, record)))
      owners.set(object, (owners.get(object) ?? 0) + 1);
  }
  return owners;
}

function below(root: string, name: Parameters<typeof inStore>[1], counted?: Counted): number {
  return allocatedBelow(fromText(inStore(root, name)), counted);
}

function allocated(path: string): number {
  return (statSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
}
