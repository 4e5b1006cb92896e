/** What every target of trees asks first: a version that is one. */
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import type { Version } from './port.ts';

/** The tree that a target of trees is given. `target`: for messages. @throws E_NOT_A_TREE */
export function treeOf(
  { tree, record, reference }: Pick<Version, 'tree' | 'record' | 'reference'>,
  target: string,
): Digest {
  if (tree !== undefined) return tree;
  throw new CellarError('E_NOT_A_TREE', {
    details: { reference, kind: record.kind },
    hint: `${target} is made of a tree; 'file:PATH' takes a file`,
  });
}
