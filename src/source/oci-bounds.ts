/**
 * How much one look reads of an image place. Each list in it is bounded by itself; lists of lists are not, and a
 * registry may make its answers up as it is asked.
 */
import { CellarError } from '../core/errors.ts';
import type { ImagePlace } from './oci-place.ts';

/** Manifests and small blobs, and what they hold together: far more than any image with all that refers to it. */
const mostReads = 10_000;
const mostBytes = 256 << 20;

/** The same place, which ends with E_REGISTRY_INVALID when more is read than any image needs. */
export function boundedPlace(place: ImagePlace): ImagePlace {
  let reads = 0;
  let bytes = 0;
  const refuse = (problem: string): CellarError =>
    new CellarError('E_REGISTRY_INVALID', { details: { url: place.location, problem } });
  const counted = async <T>(read: () => Promise<T>, sizeOf: (found: T) => number): Promise<T> => {
    reads++;
    if (reads > mostReads)
      throw refuse(`it takes more than ${mostReads} questions to know what belongs to it`);
    const found = await read();
    bytes += sizeOf(found);
    if (bytes > mostBytes) throw refuse(`more than ${mostBytes >> 20} MiB only to know what belongs to it`);
    return found;
  };
  return {
    ...place,
    manifest: (digest) =>
      counted(
        () => place.manifest(digest),
        (found) => found?.bytes.length ?? 0,
      ),
    tagged: (tag) =>
      counted(
        () => place.tagged(tag),
        (found) => found?.bytes.length ?? 0,
      ),
    blob: (descriptor) =>
      counted(
        () => place.blob(descriptor),
        (found) => found?.length ?? 0,
      ),
    referrers: (digest) =>
      counted(
        () => place.referrers(digest),
        () => 0,
      ),
  };
}
