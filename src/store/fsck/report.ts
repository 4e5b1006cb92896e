/** What fsck says: each damaged thing by kind and name, what is wrong with it, and the images it affects. */
import type { Digest } from '../../core/digest.ts';

export type DamageKind =
  | 'journal'
  | 'database'
  | 'record'
  | 'reference'
  | 'manifest'
  | 'object-list'
  | 'erofs'
  | 'object'
  | 'metadata'
  | 'variant';

export interface Damage {
  readonly kind: DamageKind;
  /** Digest, reference or row key. */
  readonly id: string;
  readonly problem: string;
  /** References (else digests) of the images that need it. */
  readonly images: readonly string[];
}

export interface FsckReport {
  /** How many things of each sort were looked at, and bytes hashed. */
  readonly checked: {
    readonly rows: number;
    readonly trees: number;
    readonly objects: number;
    readonly bytes: number;
  };
  readonly damaged: readonly Damage[];
}

/** Who needs a tree: filled while trees are checked. */
export interface Affected {
  ofTree(tree: Digest): readonly string[];
  ofObject(object: Digest): readonly string[];
}
