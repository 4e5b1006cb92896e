/**
 * Bases: the tree written once inside the store, for methods that put something writable over or beside it. A base never
 * changes; a new version of an image gets a base of its own, so nothing moves under a live checkout. It goes with the
 * last checkout that needs it.
 */
import { constants, closeSync, lstatSync, openSync, renameSync } from 'node:fs';
import { toBytes, type ByteString } from '../core/bytes.ts';
import { removeTree } from '../store/remove-tree.ts';
import type { CheckoutRow } from '../store/checkouts.ts';
import type { Store } from '../store/store.ts';
import { syncfs } from '../sys/syncfs.ts';
import { materializeAt, type Manner } from './beside.ts';
import { baseKey, baseKeyOf, lockShared, othersUse, privatePath } from './private.ts';
import { nothingSkipped, type CheckoutRequest, type Skipped } from './port.ts';

export interface Base {
  readonly path: ByteString;
  readonly skipped: Skipped;
}

/** Methods whose checkouts stand on `mnt/base`. */
const users: ReadonlySet<string> = new Set(['overlay', 'fuse-overlayfs']);

/** Hard links to the store's objects, hashed as they are linked; paths that are not links in the tree share no inode. */
export async function ensureLinkedBase(request: CheckoutRequest): Promise<Base> {
  return ensureBase(request, {
    kind: 'base',
    make: (path) =>
      materializeAt(request, path, { content: 'link', verify: true, separate: true } satisfies Manner),
  });
}

export interface BaseKind {
  readonly kind: 'base' | 'subvolumes';
  readonly make: (path: ByteString) => Promise<Skipped>;
}

/** Use the base there is, or make it beside its place and rename it there when it is whole and on disk. */
export async function ensureBase(request: CheckoutRequest, base: BaseKind): Promise<Base> {
  const { store, signal } = request;
  const path = privatePath(store, base.kind, baseKeyOf(request));
  using _lock = await lockShared(store, signal);
  if (lstatSync(toBytes(path), { throwIfNoEntry: false }) !== undefined)
    return { path, skipped: nothingSkipped };
  const making = `${path}.${request.id}`;
  request.note({ undo: 'remove', path: making });
  const skipped = await base.make(making);
  const fd = openSync(toBytes(making), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    syncfs(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(toBytes(making), toBytes(path));
  return { path, skipped };
}

/** After the checkout of `row` has gone: take its base away unless another checkout stands on it. */
export async function dropLinkedBase(store: Store, row: CheckoutRow): Promise<void> {
  using _lock = await lockShared(store);
  const key = baseKey(row);
  if (!othersUse(store, row, (other) => users.has(other.method) && baseKey(other) === key))
    removeTree(privatePath(store, 'base', key));
}

export function linkedBaseOf(store: Store, row: CheckoutRow): ByteString {
  return privatePath(store, 'base', baseKey(row));
}
