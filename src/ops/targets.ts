/** `cellar targets`: machines, LXC containers and deployments on this machine, made by us or not. */
import { realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fromText } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { isCellarError } from '../core/errors.ts';
import { machinesHere, registeredMachines } from '../deploy/machine/machine-list.ts';
import { lxcContainers, lxcPath } from '../deploy/lxc/host.ts';
import { openTarget } from '../deploy/targets.ts';
import { usersOf } from '../deploy/path/users.ts';
import { listDeployments, type DeploymentRow } from '../store/deployments.ts';
import { openStore } from '../store/store.ts';
import { allocatedBelow } from '../sys/disk-usage.ts';
import { checkouts, type CheckoutInfo } from './checkouts.ts';
import type { Context } from './context.ts';

export interface TargetInfo {
  /** `kind:rest`, as other verbs take it. */
  readonly name: string;
  /**
   * `in service`: of targets that are no machine; `missing`: on record, and not there; `unmounted`: 'cellar mount --all'
   * brings it back (after a reboot).
   */
  readonly state: 'running' | 'stopped' | 'in service' | 'missing' | 'unmounted';
  readonly path?: string;
  /** Disk space of its own: the changes where the base is shared, else everything; of `--no-size` absent. */
  readonly bytes?: number;
  /** Of the deployment in service; absent for what no deployment of this store made. */
  readonly version?: number;
  readonly reference?: string;
  readonly image?: Digest;
}

export interface TargetsOptions {
  /** Measure directories that are no checkouts, file by file. Default true. */
  readonly size?: boolean | undefined;
}

/** By name. @throws E_STORE_* for a store that is there and cannot be read */
export async function targets(
  context: Context,
  { size = true }: TargetsOptions = {},
): Promise<readonly TargetInfo[]> {
  const { active, made } = await onRecord(context);
  const places = placesHere();
  const names = [...new Set([...places.keys(), ...active.keys()])].toSorted();
  return await Promise.all(
    names.map(async (name): Promise<TargetInfo> => {
      const row = active.get(name);
      const place = places.get(name);
      const path = place?.path ?? (await openTarget(name, { force: false })).path;
      const bytes = size ? bytesOf(place?.whole ?? path, path, made) : undefined;
      return {
        name,
        state: isUnmounted(path, made) ? 'unmounted' : await stateOf(name, path, place !== undefined),
        ...(path === undefined ? {} : { path }),
        ...(bytes === undefined ? {} : { bytes }),
        ...(row === undefined ? {} : { version: row.version, reference: row.reference, image: row.image }),
      };
    }),
  );
}

interface OnRecord {
  readonly active: ReadonlyMap<string, DeploymentRow>;
  readonly made: readonly CheckoutInfo[];
}

/** A machine without a store has targets, too. */
async function onRecord(context: Context): Promise<OnRecord> {
  try {
    using store = openStore(context.storeRoot, { readOnly: true });
    const rows = listDeployments(store).filter(({ state }) => state === 'active');
    return { active: new Map(rows.map((row) => [row.target, row])), made: await checkouts(context) };
  } catch (error) {
    if (!isCellarError(error, 'E_NO_STORE')) throw error;
    return { active: new Map(), made: [] };
  }
}

interface PlaceHere {
  readonly path?: string;
  /** What belongs to it, where that is more than its tree. */
  readonly whole?: string;
}

function placesHere(): ReadonlyMap<string, PlaceHere> {
  const containers = lxcPath();
  return new Map<string, PlaceHere>([
    ...machinesHere().map(({ name, path }): [string, PlaceHere] => [
      `machine:${name}`,
      path === undefined ? {} : { path },
    ]),
    ...lxcContainers(containers).map((name): [string, PlaceHere] => [
      `lxc:${name}`,
      { path: join(containers, name, 'rootfs'), whole: join(containers, name) },
    ]),
  ]);
}

async function stateOf(
  name: string,
  path: string | undefined,
  isHere: boolean,
): Promise<TargetInfo['state']> {
  const runs = /^(?:machine|lxc):/.test(name);
  if (!runs) return path === undefined || isThere(path) ? 'in service' : 'missing';
  if (!isHere) return 'missing';
  if (name.startsWith('machine:') && registeredMachines().includes(name.slice('machine:'.length)))
    return 'running';
  return (await usersAt(name, path)).length > 0 ? 'running' : 'stopped';
}

function isUnmounted(path: string | undefined, made: readonly CheckoutInfo[]): boolean {
  if (path === undefined || !isThere(path)) return false;
  const real = realpathSync(path);
  return made.some((known) => known.path === real && known.state === 'unmounted');
}

/** Others' machines may have names that we would not give. */
async function usersAt(name: string, path: string | undefined): Promise<readonly string[]> {
  try {
    return (await (await openTarget(name, { force: false })).look()).users;
  } catch (error) {
    if (!isCellarError(error, 'E_TARGET_INVALID')) throw error;
    return usersOf(path === undefined ? [] : [path]);
  }
}

function bytesOf(
  whole: string | undefined,
  path: string | undefined,
  made: readonly CheckoutInfo[],
): number | undefined {
  if (whole === undefined || !isThere(whole)) return undefined;
  const real = path === undefined || !isThere(path) ? whole : realpathSync(path);
  const checkout = made.find((known) => known.path === real);
  if (checkout?.upperBytes !== undefined) return checkout.upperBytes;
  const stat = statSync(whole);
  return stat.isDirectory() ? allocatedBelow(fromText(realpathSync(whole))) : stat.blocks * 512;
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
