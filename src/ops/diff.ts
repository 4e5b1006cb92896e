/** `cellar diff`: two images compared path by path, from their manifests alone. */
import type { Digest } from '../core/digest.ts';
import { parsePlatform } from '../core/platform.ts';
import { openStore } from '../store/store.ts';
import { readTree } from '../store/trees.ts';
import { diffTrees, type Change } from '../tree/diff.ts';
import type { Context } from './context.ts';
import { resolveTree } from './resolve-tree.ts';
import { shownPath, type ShownPath } from './shown-path.ts';
import { referenceOf } from './target-reference.ts';

export interface DiffOptions {
  /** References, or targets with a tree in service. */
  readonly from: string;
  readonly to: string;
  /** Leave out paths that differ in nothing but their mtime. */
  readonly ignoreMtime?: boolean;
  readonly platform?: string | undefined;
}

export interface DiffResult {
  /** Trees compared. */
  readonly from: Digest;
  readonly to: Digest;
  readonly added: readonly ShownChange[];
  readonly removed: readonly ShownChange[];
  readonly changed: readonly ShownChange[];
}

export type ShownChange = Change & ShownPath;

/** @throws E_NOT_FOUND, E_NOT_A_TREE, E_PLATFORM_AMBIGUOUS, E_TREE_DAMAGED */
export async function diff(context: Context, options: DiffOptions): Promise<DiffResult> {
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
  using stack = new DisposableStack();
  const named = {
    from: await referenceOf(context, options.from, stack),
    to: await referenceOf(context, options.to, stack),
  };
  using store = openStore(context.storeRoot, { readOnly: true });
  const { tree: from } = await resolveTree(context, store, named.from, { platform });
  const { tree: to } = await resolveTree(context, store, named.to, { platform });
  const found = diffTrees(readTree(store, from), readTree(store, to));
  const onlyTime = ({ changed }: Change): boolean => changed.length === 1 && changed[0] === 'mtime';
  const changed =
    options.ignoreMtime === true ? found.changed.filter((change) => !onlyTime(change)) : found.changed;
  return {
    from,
    to,
    added: found.added.map(shown),
    removed: found.removed.map(shown),
    changed: changed.map(shown),
  };
}

function shown(change: Change): ShownChange {
  return { ...change, ...shownPath(change.path) };
}
