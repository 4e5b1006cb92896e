/**
 * Checkouts on record. A row pins its tree, says how to mount it again after a reboot, and is what makes a checkout
 * exist: it is written last. What was done until then checkout-undo.ts can take back.
 */
import { lstatSync } from 'node:fs';
import { toBytes, type ByteString } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import type { Volume } from '../sys/volume.ts';
import type { Store } from './store.ts';

export interface CheckoutRow {
  /** 16 hex digits; key of the row and name of what the store keeps for it. */
  readonly id: string;
  /** Absolute, without symlinks. */
  readonly path: ByteString;
  /** As it was asked for; absent when it was named by digest. */
  readonly reference?: string;
  readonly image?: Digest;
  readonly tree: Digest;
  readonly method: string;
  readonly writable: boolean;
  /** Subtree shown; `/` for all. */
  readonly subpath: ByteString;
  readonly mtime: 'keep' | 'clamp';
  /** `CONTAINER:HOST:LENGTH`. */
  readonly idmap?: string;
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** Whether owners, devices and trusted xattrs were set; if not, who made it. */
  readonly privileged: boolean;
  readonly uid: number;
  readonly gid: number;
  /** The directory was made for the checkout and goes with it. */
  readonly madeTarget: boolean;
  /** Of the directory itself, for methods that write files there: see {@link identityOf}. Mounts have none. */
  readonly identity?: string;
  /** Release has begun: nothing of it is to be mounted again, and its upper may be half gone. */
  readonly releasing?: true;
  /** For methods that keep it on a volume of its own. */
  readonly volume?: Volume;
  /** What beside tree and projection the base of that volume was made for, in the method's own words. */
  readonly backing?: string;
  /** Bytes that all of it may take. */
  readonly quota?: number;
  /** An {@link inodeMoment}: all that had been written by then is in an image. */
  readonly committed?: number;
  /** Name of the target that it is a version of. */
  readonly deployment?: string;
  /** Where a deployment's record lies in it, and the tree without the record where `tree` has it: no change of anybody's. */
  readonly record?: { readonly path: ByteString; readonly of?: Digest };
}

export function listCheckouts(store: Store): CheckoutRow[] {
  return store.rows.list<CheckoutRow>('checkout').map(({ value }) => value);
}

/** By its path, which must be absolute and without symlinks. Of two, one is a release that was cut short. */
export function findCheckout(store: Store, path: ByteString): CheckoutRow | undefined {
  const found = listCheckouts(store).filter((row) => row.path === path);
  return found.find(({ releasing }) => releasing !== true) ?? found[0];
}

export function putCheckout(store: Store, row: CheckoutRow): void {
  store.rows.write([{ kind: 'checkout', key: row.id, value: row }]);
}

export function deleteCheckout(store: Store, id: string): void {
  store.rows.write([{ kind: 'checkout', key: id, value: undefined }]);
}

/** Tells a directory from any that comes after it at the same path. (Device numbers change with a reboot.) */
export function identityOf(path: ByteString): string {
  const { ino, birthtimeNs } = lstatSync(toBytes(path), { bigint: true });
  return `${ino} ${birthtimeNs}`;
}
