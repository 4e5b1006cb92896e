/**
 * `cellar mount --all`: bring back the mounts of recorded checkouts after a reboot, with their changes. Running it again
 * does nothing; one that fails does not keep the others from coming back.
 */
import { lstatSync, mkdirSync } from 'node:fs';
import { loadMethod } from '../checkout/methods.ts';
import type { MethodName } from '../checkout/port.ts';
import { resolveTarget } from '../checkout/target.ts';
import { toBytes, toText } from '../core/bytes.ts';
import { CellarError, isCellarError } from '../core/errors.ts';
import { findCheckout, listCheckouts, type CheckoutRow } from '../store/checkouts.ts';
import { mountsOf } from '../store/checkout-mounts.ts';
import { inStore } from '../store/layout.ts';
import { openLock } from '../store/lock.ts';
import { openStore, requireWritable, type Store } from '../store/store.ts';
import { toCellarError } from '../sys/errno.ts';
import { flock } from '../sys/flock.ts';
import type { Context } from './context.ts';

export interface MountOptions {
  /** Only this checkout; default all. */
  readonly directory?: string | undefined;
}

export interface MountResult {
  readonly mounts: readonly {
    readonly path: string;
    readonly method: MethodName;
    readonly status: 'mounted' | 'already' | 'failed';
    readonly problem?: string;
  }[];
  readonly mounted: number;
  readonly failed: number;
}

/** @throws E_CHECKOUT_NOT_FOUND for a directory that is no checkout; failures to mount are in the result */
export async function mount(context: Context, options: MountOptions = {}): Promise<MountResult> {
  using store = openStore(context.storeRoot);
  requireWritable(store);
  using _lock = await lockMounts(context, store);
  const mounts: MountResult['mounts'][number][] = [];
  for (const row of await chooseRows(store, options)) {
    const one = { path: toText(row.path), method: row.method as MethodName };
    try {
      mounts.push({ ...one, status: await remount(store, row, context.signal) });
    } catch (error) {
      const { code, message } = toCellarError(error, { doing: 'mounting', path: one.path });
      if (code === 'E_CANCELLED') throw error;
      mounts.push({ ...one, status: 'failed', problem: message });
    }
  }
  const count = (status: string): number => mounts.filter((one) => one.status === status).length;
  return { mounts, mounted: count('mounted'), failed: count('failed') };
}

/**
 * The checkout in a directory, whose mount a reboot may have taken away; nothing is mounted in a dry run.
 * @returns whether the directory shows it; false where nothing is left of it @throws what mounting throws
 */
export async function bringBack(
  context: Context,
  store: Store,
  { directory, dryRun }: { readonly directory: string; readonly dryRun: boolean },
): Promise<boolean> {
  const row = rowOf(store, directory);
  if (row === undefined || row.releasing === true) return false;
  if (row.identity !== undefined) return lstatSync(directory, { throwIfNoEntry: false }) !== undefined;
  if (isMounted(row)) return true;
  if ((await loadMethod(row.method)).remount === undefined) return false;
  if (dryRun) return true;
  using _lock = await lockMounts(context, store);
  if ((await remount(store, row, context.signal)) === 'mounted')
    context.events({ type: 'note', text: `${directory} was not mounted, and is again` });
  return true;
}

function rowOf(store: Store, directory: string): CheckoutRow | undefined {
  try {
    return findCheckout(store, resolveTarget(directory));
  } catch (error) {
    if (isCellarError(error, 'E_SOURCE_NOT_FOUND')) return undefined;
    throw error;
  }
}

/** Two at once (a unit and an impatient operator) must not mount one checkout twice. */
async function lockMounts({ signal }: Context, { root }: Store): Promise<Disposable> {
  const lock = openLock(`${inStore(root, 'mnt')}/remount`);
  try {
    await flock(lock.fd, 'exclusive', { signal });
    return lock;
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

async function chooseRows(store: Store, { directory }: MountOptions): Promise<CheckoutRow[]> {
  const rows: CheckoutRow[] = [];
  for (const row of listCheckouts(store)) {
    if (row.identity !== undefined || row.releasing === true) continue;
    if ((await loadMethod(row.method)).remount !== undefined) rows.push(row);
  }
  if (directory === undefined) return rows;
  const path = resolveTarget(directory);
  const chosen = rows.filter((row) => row.path === path);
  if (chosen.length === 0)
    throw new CellarError('E_CHECKOUT_NOT_FOUND', { details: { path: directory, store: store.root } });
  return chosen;
}

async function remount(store: Store, row: CheckoutRow, signal: AbortSignal): Promise<'mounted' | 'already'> {
  if (isMounted(row)) return 'already';
  const stat = lstatSync(toBytes(row.path), { throwIfNoEntry: false });
  if (stat === undefined) mkdirSync(toBytes(row.path), { recursive: true, mode: 0o755 });
  // A symlink that somebody put there would have it mounted at a place of his choice.
  else if (!stat.isDirectory())
    throw new CellarError('E_CHECKOUT_REPLACED', {
      details: { path: toText(row.path) },
      hint: 'move away what is there now, and mount it again',
    });
  await (
    await loadMethod(row.method)
  ).remount!(store, row, signal);
  return 'mounted';
}

function isMounted(row: CheckoutRow): boolean {
  return mountsOf(row).some(({ mountPoint }) => mountPoint === row.path);
}
