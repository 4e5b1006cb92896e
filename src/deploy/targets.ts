/** Every kind of target, by the word before the colon. */
import { CellarError } from '../core/errors.ts';
import { containerdTarget } from './containerd.ts';
import { cpioTarget } from './cpio.ts';
import { dirTarget } from './dir.ts';
import { diskTarget } from './disk.ts';
import { dockerTarget } from './docker.ts';
import { erofsTarget } from './erofs.ts';
import { ext4Target } from './ext4.ts';
import { fileTarget } from './file.ts';
import { lxcCacheTarget } from './lxc-cache.ts';
import { lxcTarget } from './lxc.ts';
import { machineTarget } from './machine.ts';
import { ociTarget } from './oci.ts';
import { podmanTarget } from './podman.ts';
import type { Target, TargetKind, TargetOptions } from './port.ts';
import { squashfsTarget } from './squashfs.ts';
import { systemTarget } from './system.ts';
import { tarTarget } from './tar.ts';

export const targetKinds: readonly TargetKind[] = [
  dirTarget,
  fileTarget,
  machineTarget,
  lxcTarget,
  lxcCacheTarget,
  systemTarget,
  tarTarget,
  cpioTarget,
  squashfsTarget,
  erofsTarget,
  ext4Target,
  diskTarget,
  ociTarget,
  dockerTarget,
  podmanTarget,
  containerdTarget,
];

/** @throws E_TARGET_INVALID */
export function openTarget(text: string, options: TargetOptions): Target {
  const colon = text.indexOf(':');
  const kind = targetKinds.find((known) => known.kind === text.slice(0, Math.max(colon, 0)));
  if (kind !== undefined) return kind.open(text.slice(colon + 1), options);
  throw new CellarError('E_TARGET_INVALID', {
    details: {
      target: text,
      problem: `a target is written kind:rest, and kinds are ${targetKinds.map((known) => known.kind).join(', ')}`,
    },
  });
}
