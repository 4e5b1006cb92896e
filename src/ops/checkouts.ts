/** `cellar checkouts`: what is checked out where, by which method, and whether it is still there. */
import { lstatSync } from 'node:fs';
import { loadMethod } from '../checkout/methods.ts';
import type { MethodName } from '../checkout/port.ts';
import { upperOf } from '../checkout/upper.ts';
import { toBytes, toText, type ByteString } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { identityOf, listCheckouts, type CheckoutRow } from '../store/checkouts.ts';
import { mountsOf } from '../store/checkout-mounts.ts';
import { openStore, type Store } from '../store/store.ts';
import { allocatedBelow } from '../sys/disk-usage.ts';
import { mountInfo, type MountInfo } from '../sys/mountinfo.ts';
import type { Context } from './context.ts';
import { deploymentWith } from './release.ts';

export interface CheckoutInfo {
  readonly id: string;
  readonly path: string;
  readonly reference?: string;
  readonly image?: Digest;
  readonly tree: Digest;
  readonly method: MethodName;
  readonly writable: boolean;
  readonly subpath: string;
  readonly mtime: 'keep' | 'clamp';
  readonly idmap?: string;
  /** Milliseconds since the epoch. */
  readonly created: number;
  /**
   * `unmounted`: 'cellar mount --all' brings it back (after a reboot); `missing`: its directory is gone or another;
   * `releasing`: release has begun and waits for the last process that sees it.
   */
  readonly state: 'ready' | 'unmounted' | 'missing' | 'releasing';
  /** The target that it is a version of; such a one goes with `cellar undeploy`, not with `cellar release`. */
  readonly deployment?: string;
  /** Disk space of the changes, where the method keeps them apart. */
  readonly upperBytes?: number;
}

export async function checkouts(context: Context): Promise<readonly CheckoutInfo[]> {
  using store = openStore(context.storeRoot, { readOnly: true });
  const mounts = mountInfo();
  const found = await Promise.all(listCheckouts(store).map((row) => checkoutInfo(store, row, mounts)));
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function checkoutInfo(
  store: Store,
  row: CheckoutRow,
  mounts: readonly MountInfo[],
): Promise<CheckoutInfo> {
  const { id, tree, writable, mtime, created } = row;
  const upper = upperOf(store, id).upper;
  const hasUpper = isThere(upper);
  const deployment = deploymentWith(store, row);
  return {
    id,
    path: toText(row.path),
    ...(row.reference === undefined ? {} : { reference: row.reference }),
    ...(row.image === undefined ? {} : { image: row.image }),
    tree,
    method: row.method as MethodName,
    writable,
    subpath: toText(row.subpath),
    mtime,
    ...(row.idmap === undefined ? {} : { idmap: row.idmap }),
    created,
    state: await stateOf(row, mounts),
    ...(deployment === undefined ? {} : { deployment }),
    ...(hasUpper ? { upperBytes: allocatedBelow(upper) } : {}),
  };
}

async function stateOf(row: CheckoutRow, mounts: readonly MountInfo[]): Promise<CheckoutInfo['state']> {
  if (row.releasing === true) return 'releasing';
  if (row.identity !== undefined)
    return isThere(row.path) && identityOf(row.path) === row.identity ? 'ready' : 'missing';
  if (mountsOf(row, mounts).some(({ mountPoint }) => mountPoint === row.path)) return 'ready';
  return (await loadMethod(row.method)).remount === undefined ? 'missing' : 'unmounted';
}

function isThere(path: ByteString): boolean {
  return lstatSync(toBytes(path), { throwIfNoEntry: false }) !== undefined;
}
