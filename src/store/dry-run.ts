/**
 * The store of a dry run. Where there is one it is that; where there is none yet, what would come in is read into one that
 * lies where the real one would, with its rights and on its file system, and is gone afterwards: a dry run makes no store,
 * and is not refused for want of one.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { isCellarError } from '../core/errors.ts';
import { openStore, permissionError, provisionalPrefix, refusePlace, type Store } from './store.ts';

/**
 * For commands that make the store when they are not dry.
 * @throws as {@link openStore} does with `create`, dry or not
 */
export function openToFill(
  path: string,
  { dryRun = false }: { readonly dryRun?: boolean | undefined },
): Store {
  if (!dryRun) return openStore(path, { create: true });
  try {
    return openStore(path);
  } catch (error) {
    if (!isCellarError(error, 'E_NO_STORE')) throw error;
  }
  refusePlace(path);
  return openProvisional(path);
}

function openProvisional(path: string): Store {
  using stack = new DisposableStack();
  const root = makeRoot(path);
  stack.defer(() => rmSync(root, { recursive: true, force: true }));
  const store = stack.use(openStore(root, { create: true }));
  const owned = stack.move();
  return { ...store, [Symbol.dispose]: () => owned.dispose() };
}

function makeRoot(path: string): string {
  let parent = resolve(path);
  while (statSync(parent, { throwIfNoEntry: false })?.isDirectory() !== true && parent !== '/')
    parent = dirname(parent);
  try {
    return mkdtempSync(join(parent, provisionalPrefix));
  } catch (error) {
    throw permissionError(error, path);
  }
}
