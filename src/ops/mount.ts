/**
 * `cellar mount --all`: bring back the mounts of recorded checkouts after a reboot, with their changes. Running it again
 * does nothing; one that fails does not keep the others from coming back.
 */
import { lstatSync, mkdirSync } from 'node:fs';
import { loadMethod } from '../checkout/methods.ts';
import type { MethodName } from '../checkout/port.ts';
import { resolveTarget } from '../checkout/target.ts';
import { toBytes, toText } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { listCheckouts, mountsOf, type CheckoutRow } from '../store/checkouts.ts';
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
  // Two at once (a unit and an impatient operator) must not mount one checkout twice.
  using lock = openLock(`${inStore(store.root, 'mnt')}/remount`);
  await flock(lock.fd, 'exclusive', { signal: context.signal });
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
  if (mountsOf(row).some(({ mountPoint }) => mountPoint === row.path)) return 'already';
  if (lstatSync(toBytes(row.path), { throwIfNoEntry: false }) === undefined)
    mkdirSync(toBytes(row.path), { recursive: true, mode: 0o755 });
  await (
    await loadMethod(row.method)
  ).remount!(store, row, signal);
  return 'mounted';
}
