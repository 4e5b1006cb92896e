/**
 * The port every checkout method fills: say whether it can serve a request, make the checkout, undo it, and mount
 * it again after a reboot. What a method may assume of a request is written here and tested by
 * test/contract/checkout.test.ts.
 */
import type { ByteString } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import type { EventSink } from '../core/events.ts';
import type { CheckoutRow } from '../store/checkouts.ts';
import type { UndoStep } from '../store/checkout-undo.ts';
import type { Store } from '../store/store.ts';
import type { TreeRow } from '../store/trees.ts';
import type { Volume } from '../sys/volume.ts';
import type { Entry } from '../tree/entry.ts';
import type { IdMap } from './idmap.ts';

export const methodNames = [
  'composefs',
  'btrfs',
  'reflink',
  'overlay',
  'fuse-overlayfs',
  'hardlink',
  'copy',
  'lvm',
  'zfs',
] as const;

export type MethodName = (typeof methodNames)[number];

export interface CheckoutMethod {
  readonly name: MethodName;
  /** It can hold a checkout to `request.quota`; of others none is asked. */
  readonly hasQuota?: true;
  /** Cheap and without side effects that outlive it. Every obstacle is a reason, never an exception. */
  available(request: CheckoutRequest): Availability;
  /** What else can be told before anything is made, for dry runs. @throws what `checkout` would */
  rehearse?(request: CheckoutRequest): void;
  /** Make the tree visible at `request.target`; see `note` for failures. */
  checkout(request: CheckoutRequest): Promise<CheckoutOutcome>;
  /** First step of a release, for methods that mount: hide it. Nothing mounted is fine. @throws E_CHECKOUT_BUSY */
  unmount?(store: Store, row: CheckoutRow, options: ReleaseOptions): void;
  /** Last step: remove what it wrote. No process sees a mount of it any more; the row goes afterwards. */
  remove(store: Store, row: CheckoutRow): Promise<void>;
  /** For methods that mount: mount it again from what the row says; the upper is kept. */
  remount?(store: Store, row: CheckoutRow, signal: AbortSignal): Promise<void>;
}

export type Availability = { readonly ok: true } | { readonly ok: false; readonly reason: string };

export interface CheckoutRequest {
  readonly store: Store;
  /** Key of the row it will get; also its directory under `checkouts/` in the store, when it needs one. */
  readonly id: string;
  readonly tree: Digest;
  readonly treeRow: TreeRow;
  /**
   * What is to appear, rooted at `/`, with `subpath`, `idmap` and `mtime` applied. Reading the manifest of a large
   * tree takes longer than mounting it, so it happens on the first call and not before.
   */
  readonly entries: () => readonly Entry[];
  /** Absolute and without symlinks: absent, or an empty directory. Its parent exists. */
  readonly target: ByteString;
  readonly writable: boolean;
  /** Subtree to show, `/` for all. For methods that mount; `entries` has it applied. */
  readonly subpath: ByteString;
  /** `clamp`: every inode gets the one time {@link clampTime}. */
  readonly mtime: 'keep' | 'clamp';
  readonly idmap: IdMap | undefined;
  /** Where volumes are to be made: what followed the method's name and a colon. For methods that make volumes. */
  readonly place: string | undefined;
  /** Bytes that the checkout may hold in all, what it shares with others included. */
  readonly quota: number | undefined;
  /** When to hash objects that are not read anyway: those changed since the last time, all, or none. */
  readonly verify: 'auto' | 'always' | 'never';
  /** Private directory on the store's file system, gone when the checkout is made. */
  readonly staging: string;
  /**
   * Called before each step that leaves something outside `staging`, with what undoes it. On failure, cancellation or
   * death of the process all noted steps are undone, newest first; methods need no clean-up of their own.
   */
  readonly note: (step: UndoStep) => void;
  /** Called before something is written to the store that stays there, with its bytes at most. @throws E_STORE_FULL */
  readonly room: (bytes: number) => Promise<void>;
  /** Called after something was written to the store that stays there, where nobody knows before how much it will be. */
  readonly grown: () => void;
  /** Hold something (a lock on a base) until the checkout is on record or has failed. */
  readonly keep: (resource: Disposable) => void;
  readonly signal: AbortSignal;
  readonly events: EventSink;
}

export interface CheckoutOutcome {
  readonly skipped: Skipped;
  /** Directory that was made for the mount point and goes again on release. */
  readonly madeTarget: boolean;
  /** What it made elsewhere, for the record. */
  readonly volume?: Volume;
  readonly backing?: string;
}

/** What this user, or this file system, could not hold. */
export interface Skipped {
  readonly owners: number;
  readonly devices: number;
  readonly xattrs: number;
}

export const nothingSkipped: Skipped = { owners: 0, devices: 0, xattrs: 0 };

export interface ReleaseOptions {
  /** Detach a mount that is in use; it goes when the last user lets go of it. */
  readonly force: boolean;
}

export const yes: Availability = { ok: true };

export function no(reason: string): Availability {
  return { ok: false, reason };
}
