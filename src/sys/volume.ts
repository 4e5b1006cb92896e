/**
 * Volumes: file systems that a volume manager makes, snapshots and gives back, named by random names of ours. What the
 * store needs of one without knowing how it came about is here: whether it is there, mounting it, and its removal.
 */
import type { ByteString } from '../core/bytes.ts';
import { activateLvm, lvmDevice, lvmExists, removeLvm } from './lvm.ts';
import { MOUNT_ATTR_RDONLY, attachMount, createMount, type Parameter } from './mount-api.ts';
import { mountZfs, removeZfs, zfsExists } from './zfs.ts';

/** As it is kept on record. */
export type Volume =
  /** `GROUP/VOLUME` with the file system in it. */
  | { readonly manager: 'lvm'; readonly name: string; readonly fs: VolumeFs }
  /** A dataset. */
  | { readonly manager: 'zfs'; readonly name: string };

export const volumeFileSystems = ['ext4', 'xfs'] as const;

export type VolumeFs = (typeof volumeFileSystems)[number];

/** @throws E_VOLUME_FAILED */
export function volumeExists(volume: Volume): boolean {
  return volume.manager === 'lvm' ? lvmExists(volume.name) : zfsExists(volume.name);
}

/** Mount it at an existing directory, activated first where the manager knows such a thing. @throws E_VOLUME_FAILED, SysError */
export function mountVolume(
  volume: Volume,
  target: ByteString,
  { readOnly = false }: { readonly readOnly?: boolean } = {},
): void {
  if (volume.manager === 'zfs') return mountZfs(volume.name, target, { readOnly });
  activateLvm(volume.name);
  const parameters: Parameter[] = [
    ['source', lvmDevice(volume.name)],
    ...parametersOf[volume.fs].map((name) => [name, true] as const),
    ...(readOnly ? [['ro', true] as const] : []),
  ];
  using mount = createMount(volume.fs, { parameters, attributes: readOnly ? MOUNT_ATTR_RDONLY : 0 });
  attachMount(mount, target);
}

/** Absent is fine. @throws E_VOLUME_FAILED while it is in use, or others were made from it */
export function removeVolume(volume: Volume): void {
  if (!volumeExists(volume)) return;
  if (volume.manager === 'lvm') removeLvm(volume.name);
  else removeZfs(volume.name);
}

const parametersOf: Readonly<Record<VolumeFs, readonly string[]>> = {
  // Else each snapshot would have the inode tables of its own zeroed in the background, and take the space of them.
  ext4: ['noinit_itable'],
  // A snapshot has the identity of what it was taken from.
  xfs: ['nouuid'],
};
