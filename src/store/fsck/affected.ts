/** From a damaged thing to the images that need it, by the names a user knows. */
import type { Digest } from '../../core/digest.ts';
import { looseObjects } from '../blobs.ts';
import { namesByImage } from '../references.ts';
import { listImages } from '../resolve.ts';
import type { Store } from '../store.ts';
import type { Affected } from './report.ts';

/** `objects` lists each tree's objects, as far as they could be read. */
export function findAffected(store: Store, objects: ReadonlyMap<Digest, ReadonlySet<Digest>>): Affected {
  const names = namesByImage(store);
  const images = listImages(store);
  const ofTree = (tree: Digest): readonly string[] =>
    images
      .filter(({ record }) => record.content === tree)
      .flatMap(({ digest }) => names.get(digest) ?? [digest]);
  const loose = images.map(({ digest, record }) => ({
    digest,
    objects: new Set(looseObjects(store, record)),
  }));
  return {
    ofTree,
    ofObject: (object) => [
      ...new Set([
        ...[...objects].filter(([, list]) => list.has(object)).flatMap(([tree]) => ofTree(tree)),
        ...loose
          .filter((image) => image.objects.has(object))
          .flatMap(({ digest }) => names.get(digest) ?? [digest]),
      ]),
    ],
  };
}
