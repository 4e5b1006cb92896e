/** What every target asks first: a version of a kind that it takes. */
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import type { Target, Version } from './port.ts';

type Kind = Pick<Version, 'record' | 'reference'> & { readonly tree?: Digest | undefined };

/** The tree that a target of trees is given. `target`: for messages. @throws E_NOT_A_TREE */
export function requireTree({ tree, record, reference }: Kind, target: string): Digest {
  if (tree !== undefined) return tree;
  throw new CellarError('E_NOT_A_TREE', {
    details: { reference, kind: record.kind },
    hint: `${target} is made of a tree; 'file:PATH' takes a file`,
  });
}

/** Before anything is changed, dry runs included. @throws E_NOT_A_TREE, E_USAGE */
export function refuseKind({ name, takesFiles, takesImages }: Target, version: Kind): void {
  if (takesFiles === true) return requireFile(version);
  if (takesImages !== true) requireTree(version, name);
  else if (version.record.kind === 'file') throw notAnImage(version);
}

/** @throws E_USAGE */
export function requireFile({ record, reference }: Kind): void {
  if (record.kind === 'file') return;
  throw new CellarError('E_USAGE', {
    details: { problem: `${reference} is of kind ${record.kind}, and file: takes one file` },
    hint: "'dir:PATH' takes a tree",
  });
}

export function notAnImage({ record, reference }: Kind): CellarError {
  return new CellarError('E_USAGE', {
    details: { problem: `${reference} is of kind ${record.kind}, which is no image of a container` },
    hint: "'file:PATH' takes a file",
  });
}
