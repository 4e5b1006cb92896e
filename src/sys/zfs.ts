/**
 * ZFS by its own program (zfs(8)): datasets with legacy mount points, so that nothing but us mounts them, a snapshot of
 * what was filled once, and clones of it. Not tested: no kernel that the tests can boot has ZFS.
 */
import type { ByteString } from '../core/bytes.ts';
import { toText } from '../core/bytes.ts';
import { runVolumeProgram, tryVolumeProgram } from './volume-program.ts';

/** A pool begins with a letter; of what zfsconcepts(7) allows, what needs no quoting anywhere. */
const validDataset = /^[A-Za-z][A-Za-z0-9_.:-]*(?:\/[A-Za-z0-9_][A-Za-z0-9_.:-]*)*$/;

export function isZfsDataset(name: string): boolean {
  return name.length <= 200 && validDataset.test(name);
}

export function zfsExists(name: string): boolean {
  const { status, problem, stdout } = tryVolumeProgram('zfs', ['list', '-H', '-o', 'name', name]);
  if (status === 0) return stdout.trim() === name;
  if (/does not exist/.test(problem)) return false;
  runVolumeProgram('zfs', ['list', '-H', '-o', 'name', name]);
  return true;
}

export function createZfs(name: string): void {
  runVolumeProgram('zfs', ['create', ...properties, name]);
}

/** After it was filled: what clones are made from. */
export function snapshotZfs(name: string): void {
  runVolumeProgram('zfs', ['snapshot', `${name}@${snapshotName}`]);
}

/** `quota` in bytes: all that is in it, what it shares with its base included. */
export function cloneZfs(
  base: string,
  name: string,
  { quota }: { readonly quota: number | undefined },
): void {
  const limit = quota === undefined ? [] : ['-o', `refquota=${quota}`];
  runVolumeProgram('zfs', ['clone', ...properties, ...limit, `${base}@${snapshotName}`, name]);
}

export function mountZfs(
  name: string,
  target: ByteString,
  { readOnly }: { readonly readOnly: boolean },
): void {
  const options = readOnly ? ['-o', 'ro'] : [];
  runVolumeProgram('mount', ['-t', 'zfs', ...options, name, toText(target)]);
}

/** With its own snapshot; refused while clones of it exist. */
export function removeZfs(name: string): void {
  const { status } = tryVolumeProgram('zfs', ['list', '-H', `${name}@${snapshotName}`]);
  if (status === 0) runVolumeProgram('zfs', ['destroy', `${name}@${snapshotName}`]);
  runVolumeProgram('zfs', ['destroy', name]);
}

const snapshotName = 'cellar';

const properties = ['mountpoint=legacy', 'xattr=sa', 'acltype=posixacl'].flatMap((property) => [
  '-o',
  property,
]);
