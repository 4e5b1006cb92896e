/**
 * LVM by its own programs (lvcreate(8), lvchange(8), lvremove(8), lvs(8), vgs(8)): thin volumes with thin snapshots in
 * a pool, or plain volumes with snapshots that have room for every block of theirs. Names are `GROUP/VOLUME`.
 */
import { CellarError } from '../core/errors.ts';
import { runVolumeProgram } from './volume-program.ts';

/** What LVM takes for a name (lvm(8), VALID NAMES) and no option. */
const validName = /^[A-Za-z0-9_+][A-Za-z0-9_.+-]{0,126}$/;

export function isLvmName(name: string): boolean {
  return validName.test(name);
}

/** @throws E_VOLUME_FAILED */
export function hasVolumeGroup(group: string): boolean {
  return report('vgs', ['-o', 'vg_name', '--select', `vg_name=${group}`]).length > 0;
}

/** @throws E_VOLUME_FAILED */
export function hasThinPool(group: string, pool: string): boolean {
  const wanted = `vg_name=${group} && lv_name=${pool} && segtype=thin-pool`;
  return report('lvs', ['-o', 'lv_name', '--select', wanted]).length > 0;
}

export function lvmExists(name: string): boolean {
  const { group, volume } = split(name);
  return report('lvs', ['-o', 'lv_name', '--select', `vg_name=${group} && lv_name=${volume}`]).length > 0;
}

export function lvmDevice(name: string): string {
  return `/dev/${name}`;
}

/** An empty volume, active. `size` in bytes, rounded up to whole extents; thin when a pool is given. */
export function createLvm(
  name: string,
  { size, pool }: { readonly size: number; readonly pool: string | undefined },
): void {
  const { group, volume } = split(name);
  const kind =
    pool === undefined
      ? ['--size', `${size}b`, '--wipesignatures', 'y']
      : ['--virtualsize', `${size}b`, '--thinpool', pool];
  runVolumeProgram('lvcreate', ['--yes', ...kind, '--addtag', tag, '--name', volume, group]);
}

/** Thin volumes have thin snapshots, which live on without it; any other stays what its snapshots stand on. */
export function snapshotLvm(of: string, name: string, { thin }: { readonly thin: boolean }): void {
  const { volume } = split(name);
  // Room for every block: a snapshot that runs full is lost as a whole.
  const room = thin ? [] : ['--extents', '100%ORIGIN'];
  const skip = thin ? ['--setactivationskip', 'n'] : [];
  runVolumeProgram('lvcreate', [
    '--yes',
    '--snapshot',
    ...room,
    ...skip,
    '--addtag',
    tag,
    '--name',
    volume,
    of,
  ]);
}

export function activateLvm(name: string): void {
  // A plain snapshot brings what it stands on along, and asks.
  runVolumeProgram('lvchange', ['--yes', '--activate', 'y', '--ignoreactivationskip', name]);
}

export function deactivateLvm(name: string): void {
  runVolumeProgram('lvchange', ['--activate', 'n', name]);
}

/** @throws E_VOLUME_FAILED while it is mounted, or plain snapshots stand on it: they would go with it */
export function removeLvm(name: string): void {
  const { group, volume } = split(name);
  const standing = `vg_name=${group} && origin=${volume} && lv_attr=~^[sS]`;
  const snapshots = report('lvs', ['-o', 'lv_name', '--select', standing]);
  if (snapshots.length > 0)
    throw new CellarError('E_VOLUME_FAILED', {
      details: { program: 'lvremove', problem: `snapshots stand on ${name}: ${snapshots.join(', ')}` },
    });
  runVolumeProgram('lvremove', ['--yes', name]);
}

const tag = 'cellar';

function report(program: string, args: readonly string[]): string[] {
  return runVolumeProgram(program, ['--noheadings', ...args])
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function split(name: string): { readonly group: string; readonly volume: string } {
  const [group = '', volume = ''] = name.split('/');
  return { group, volume };
}
