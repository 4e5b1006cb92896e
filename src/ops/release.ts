/** `cellar release`: unmount or remove a checkout, give back what the store kept for it, and unpin its tree. */
import { lstatSync, rmdirSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { hasChanges } from '../checkout/upper.ts';
import { loadMethod } from '../checkout/methods.ts';
import type { MethodName } from '../checkout/port.ts';
import { resolveTarget } from '../checkout/target.ts';
import { fromText, toBytes, toText } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { CellarError, isCellarError } from '../core/errors.ts';
import {
  deleteCheckout,
  findCheckout,
  identityOf,
  putCheckout,
  type CheckoutRow,
} from '../store/checkouts.ts';
import { seenBy } from '../store/checkout-mounts.ts';
import { deploymentsOf } from '../store/deployments.ts';
import { openStore, requireWritable, type Store } from '../store/store.ts';
import { isErrno, toCellarError } from '../sys/errno.ts';
import type { Context } from './context.ts';

export interface ReleaseOptions {
  readonly directory: string;
  /** Throw away changes, detach a mount that is in use, forget a directory that was replaced. */
  readonly force?: boolean | undefined;
}

export interface ReleaseResult {
  readonly path: string;
  readonly method: MethodName;
  readonly tree: Digest;
  /** False while some process still sees the mount: the tree stays pinned; release it again later. */
  readonly released: boolean;
  /** Who sees it, where it was not released: `podman (4711)`. */
  readonly seenBy?: readonly string[];
}

/** @throws E_CHECKOUT_NOT_FOUND, E_CHECKOUT_BUSY, E_CHECKOUT_CHANGED, E_CHECKOUT_REPLACED, E_IN_USE, E_NOT_ALLOWED */
export async function release(context: Context, options: ReleaseOptions): Promise<ReleaseResult> {
  using store = openStore(context.storeRoot);
  requireWritable(store);
  refuseDeployed(store, findRow(store, options.directory));
  return await releaseCheckout(store, options);
}

/** What is in service, or kept to go back to, would be gone and still be listed. */
function refuseDeployed(store: Store, row: CheckoutRow): void {
  const deployment = deploymentWith(store, row);
  if (deployment === undefined) return;
  throw new CellarError('E_IN_USE', {
    details: { what: toText(row.path), users: `the deployment ${deployment}` },
    hint: `'cellar undeploy ${deployment}' takes it away`,
  });
}

/** Name of the target that a checkout is a version of, in service or kept: then it is not released by itself. */
export function deploymentWith(store: Store, row: CheckoutRow): string | undefined {
  const { path, deployment, releasing } = row;
  if (deployment === undefined || releasing === true) return undefined;
  const name = basename(toText(path));
  return deploymentsOf(store, deployment).some(({ id }) => id === name) ? deployment : undefined;
}

/** As {@link release}, of a store that is open. */
export async function releaseCheckout(store: Store, options: ReleaseOptions): Promise<ReleaseResult> {
  requireWritable(store);
  const row = findRow(store, options.directory);
  const path = toText(row.path);
  const force = options.force ?? false;
  const forget = checkRow(store, row, force);
  try {
    const viewers = forget ? [] : await takeAway(store, row, force);
    const released = viewers.length === 0;
    // The row goes last: until then whoever was killed can be followed by another release.
    if (released && !forget) removeMountPoint(row);
    if (released) deleteCheckout(store, row.id);
    const seen = released ? {} : { seenBy: viewers };
    return { path, method: row.method as MethodName, tree: row.tree, released, ...seen };
  } catch (error) {
    throw toCellarError(error, { doing: 'releasing the checkout', path });
  }
}

/** @returns who still sees it, in other mount namespaces: then its files and its upper stay for those */
async function takeAway(store: Store, row: CheckoutRow, force: boolean): Promise<readonly string[]> {
  const method = await loadMethod(row.method);
  method.unmount?.(store, row, { force });
  // From here on it is not to be mounted again, whatever happens to this process.
  putCheckout(store, { ...row, releasing: true });
  const viewers = row.identity === undefined ? seenBy(row) : [];
  if (viewers.length === 0) await method.remove(store, row);
  return viewers;
}

function findRow(store: Store, directory: string): CheckoutRow {
  const row = findCheckout(store, targetPath(directory));
  if (row !== undefined) return row;
  throw new CellarError('E_CHECKOUT_NOT_FOUND', { details: { path: directory, store: store.root } });
}

/** The directory above it may be gone too; then the path as it was typed has to do. */
function targetPath(directory: string): string {
  try {
    return resolveTarget(directory);
  } catch (error) {
    if (!isCellarError(error, 'E_SOURCE_NOT_FOUND')) throw error;
    return fromText(resolve(directory));
  }
}

/** True when the row is to be forgotten and the directory left alone. */
function checkRow(store: Store, row: CheckoutRow, force: boolean): boolean {
  const path = toText(row.path);
  if (row.privileged && !store.privileged)
    throw new CellarError('E_NOT_ALLOWED', {
      details: { operation: `releasing ${path}`, problem: 'root made this checkout' },
    });
  if (row.identity !== undefined && lstatSync(toBytes(row.path), { throwIfNoEntry: false }) !== undefined) {
    const replaced = identityOf(row.path) !== row.identity;
    if (replaced && !force) throw new CellarError('E_CHECKOUT_REPLACED', { details: { path } });
    return replaced;
  }
  if (
    !force &&
    row.releasing !== true &&
    hasChanges(store, row.id, { committed: row.committed, ours: row.record?.path })
  )
    throw new CellarError('E_CHECKOUT_CHANGED', { details: { path } });
  return false;
}

function removeMountPoint(row: CheckoutRow): void {
  if (!row.madeTarget || row.identity !== undefined) return;
  try {
    rmdirSync(toBytes(row.path));
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EBUSY')) throw error;
  }
}
