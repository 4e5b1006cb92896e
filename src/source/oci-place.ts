/** Where an image and what belongs to it can be read: a registry with its mirrors, an image layout, an archive. */
import type { Digest } from '../core/digest.ts';
import type { Descriptor, Manifest } from '../remote/oci/manifest.ts';
import type { Locator } from './port.ts';

/** Everything but tags is named by digest and checked against it: E_CHECKSUM_MISMATCH. `undefined` is "not here". */
export interface ImagePlace {
  /** As the user wrote it, for messages. */
  readonly location: string;
  manifest(digest: Digest): Promise<Manifest | undefined>;
  /** Whole, in memory: for what is small. */
  blob(descriptor: Descriptor): Promise<Buffer | undefined>;
  /** What names this digest as its subject; none where nobody can say. */
  referrers(digest: Digest): Promise<readonly Descriptor[]>;
  /** What lies beside the image under a tag of the same repository. */
  tagged(tag: string): Promise<Manifest | undefined>;
  /** Where a blob is to be fetched. */
  locate(descriptor: Descriptor): Locator;
}
