/**
 * fsck: hashes everything and follows every name to its bytes. Reads only, takes no lock but a shared one (gc must
 * not take things away meanwhile), and remembers damaged objects so that nothing hands them on afterwards.
 */
import { readdirSync } from 'node:fs';
import type { Digest } from '../../core/digest.ts';
import type { EventSink } from '../../core/events.ts';
import { recordDigest } from '../../core/record.ts';
import { looseObjects } from '../blobs.ts';
import { forgetMended, markDamaged } from '../damaged.ts';
import { replayJournal } from '../journal.ts';
import { inStore, objectFile } from '../layout.ts';
import { lockStore } from '../lock.ts';
import { listReferences } from '../references.ts';
import { listImages } from '../resolve.ts';
import type { Store } from '../store.ts';
import { hashFiles } from '../verify/hash-files.ts';
import { findAffected } from './affected.ts';
import { checkMetadata, type ExpectedInodes } from './inodes.ts';
import type { Damage, FsckReport } from './report.ts';
import { checkTrees } from './trees.ts';
import { checkVariants } from './variants.ts';

export interface FsckOptions {
  readonly events: EventSink;
  readonly signal?: AbortSignal;
}

export async function checkStore(store: Store, options: FsckOptions): Promise<FsckReport> {
  using _lock = store.readOnly ? undefined : await lockStore(store.root, 'shared', options);
  const database = store.rows.check();
  if (database.length > 0) {
    const damaged = database.map(({ kind, key, problem }): Damage => ({
      kind: 'database',
      id: `${kind} ${key}`.trim(),
      problem,
      images: [],
    }));
    return { checked: { rows: 0, trees: 0, objects: 0, bytes: 0 }, damaged };
  }
  const expected: ExpectedInodes = new Map();
  const trees = checkTrees(store, expected);
  const affected = findAffected(store, trees.objects);
  const { damages, objects, bytes } = await checkObjects(store, expected, affected.ofObject, options);
  const loose = listImages(store).flatMap(({ record }) => looseObjects(store, record));
  const missing = [
    ...new Set([...trees.wanted(objects), ...loose.filter((object) => !objects.has(object))]),
  ].map((object) => objectDamage(object, 'is missing', affected.ofObject(object)));
  const damaged = [
    ...checkNames(store),
    ...checkJournal(store),
    ...trees.damages.map((damage) => ({ ...damage, images: affected.ofTree(damage.id) })),
    ...missing,
    ...damages,
    ...(await checkVariants(store, affected.ofObject, options)),
  ];
  const bad = new Set(damaged.filter(({ kind }) => kind === 'object').map(({ id }) => id));
  markDamaged(
    store,
    [...bad].map((object) => ({ object })),
  );
  forgetMended(store, (object) => !bad.has(object));
  return {
    checked: {
      rows: trees.count + listImages(store).length,
      trees: trees.count,
      objects: objects.size,
      bytes,
    },
    damaged,
  };
}

/** A torn last line is what a power cut leaves and means nothing; any other unreadable line is damage. */
function checkJournal(store: Store): Damage[] {
  const { unreadable } = replayJournal(store.root);
  return unreadable === 0
    ? []
    : [
        {
          kind: 'journal',
          id: 'journal',
          problem: `lines that do not match their hash: ${unreadable}`,
          images: [],
        },
      ];
}

/** Records bear their own digest as name; references name records; records name trees. */
function checkNames(store: Store): Damage[] {
  const damaged: Damage[] = [];
  const images = new Map(listImages(store).map(({ digest, record }) => [digest, record]));
  for (const [digest, record] of images) {
    if (recordDigest(record) !== digest)
      damaged.push({ kind: 'record', id: digest, problem: 'does not match its digest', images: [digest] });
    const kind = record.kind === 'tree' ? 'tree' : 'blobs';
    if (store.rows.get(kind, record.content) === undefined) {
      damaged.push({
        kind: 'record',
        id: digest,
        problem: `names the ${record.kind} ${record.content}, which is missing`,
        images: [digest],
      });
    }
  }
  for (const { reference, image } of listReferences(store)) {
    if (!images.has(image))
      damaged.push({
        kind: 'reference',
        id: reference,
        problem: `names the image ${image}, which is missing`,
        images: [reference],
      });
  }
  return damaged;
}

async function checkObjects(
  store: Store,
  expected: ExpectedInodes,
  imagesOf: (object: Digest) => readonly string[],
  options: FsckOptions,
): Promise<{ damages: Damage[]; objects: Set<Digest>; bytes: number }> {
  const objects = listObjects(store);
  const damages: Damage[] = [];
  let [done, bytes] = [0, 0];
  options.events({
    type: 'step',
    step: 'fsck',
    label: 'hashing objects',
    unit: 'objects',
    total: objects.size,
  });
  await hashFiles(
    [...objects].map((object) => objectFile(store.root, object)),
    ({ file, digest, size = 0, problem }) => {
      const object = file.slice(-65).replace('/', '');
      if (problem !== undefined)
        damages.push(objectDamage(object, `cannot be read (${problem})`, imagesOf(object)));
      else if (digest !== object)
        damages.push(objectDamage(object, `has content ${digest}`, imagesOf(object)));
      else {
        bytes += size;
        const difference = checkMetadata(store, object, expected.get(object));
        if (difference !== undefined)
          damages.push({ kind: 'metadata', id: object, problem: difference, images: imagesOf(object) });
      }
      if (++done % 256 === 0) options.events({ type: 'progress', step: 'fsck', done });
    },
    options,
  );
  options.events({ type: 'progress', step: 'fsck', done });
  options.events({ type: 'step-end', step: 'fsck' });
  return { damages, objects, bytes };
}

function listObjects(store: Store): Set<Digest> {
  const root = inStore(store.root, 'objects');
  return new Set(
    readdirSync(root).flatMap((shard) => readdirSync(`${root}/${shard}`).map((name) => shard + name)),
  );
}

function objectDamage(object: Digest, problem: string, images: readonly string[]): Damage {
  return { kind: 'object', id: object, problem, images };
}
