/**
 * Image records: provenance as canonical JSON, named by its own SHA-256. A record says what an image is (its
 * tree, OCI manifest or file), where it came from and how it was verified; it never holds a secret.
 */
import { jsonDigest } from './canonical-json.ts';
import type { Digest } from './digest.ts';
import type { Platform } from './platform.ts';

export type ImageKind = 'tree' | 'oci' | 'file';

export interface ImageRecord {
  readonly kind: ImageKind;
  /** Digest of the manifest (tree), of the OCI manifest (oci) or of the content (file). */
  readonly content: Digest;
  readonly platform: Platform;
  /** When it was stored, in integer seconds since the epoch. */
  readonly created: number;
  /** Names within the tree (directories, links and devices included), and bytes of its regular files, each inode once. */
  readonly files: number;
  readonly bytes: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly provenance: Provenance;
  /** Files kept beside the content, by name: LXC or Incus metadata, an OCI index, signatures. */
  readonly attachments?: Readonly<Record<string, Digest>>;
}

export interface Provenance {
  /** How it came in, and from where (redacted). `parent` is the image a commit started from. */
  readonly via: 'import' | 'commit' | 'pull' | 'compose' | 'build';
  readonly source: string;
  /** Digest of the transport as read, when it was a file or a stream. */
  readonly sourceDigest?: Digest;
  /** Of that, only this directory became the tree. */
  readonly subpath?: string;
  /** What was checked before the reference was written. */
  readonly verified: 'signature' | 'checksum' | 'no';
  /** Who signed it: fingerprint and name of the key. */
  readonly signer?: string;
  readonly parent?: Digest;
  /** What it was composed of, in order. */
  readonly parts?: readonly PartOfImage[];
}

export interface PartOfImage {
  /** As it was asked for. */
  readonly reference: string;
  readonly image: Digest;
  /** The artifacts of it that took part, where not all of it did. */
  readonly artifacts?: readonly string[];
}

export function recordDigest(record: ImageRecord): Digest {
  return jsonDigest(record);
}
