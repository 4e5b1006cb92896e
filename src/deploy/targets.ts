/** Every kind of target, by the word before the colon. One is loaded when a target of its kind is named. */
import { CellarError } from '../core/errors.ts';
import { nearest } from '../core/nearest.ts';
import type { Target, TargetDriver, TargetOptions } from './port.ts';

export interface TargetKind {
  readonly kind: string;
  /** For `cellar help names`. */
  readonly summary: string;
  readonly load: () => Promise<TargetDriver>;
}

export const targetKinds: readonly TargetKind[] = [
  {
    kind: 'dir',
    summary: 'a tree at a path, switched by symlink',
    load: async () => (await import('./path/dir.ts')).dirTarget,
  },
  {
    kind: 'file',
    summary: 'one file, with owner and mode',
    load: async () => (await import('./path/file.ts')).fileTarget,
  },
  {
    kind: 'machine',
    summary: 'what systemd-nspawn and machinectl run, by its name; writable',
    load: async () => (await import('./machine/machine.ts')).machineTarget,
  },
  {
    kind: 'lxc',
    summary: "an LXC container's storage; its definition is made, or kept; --base for one to clone",
    load: async () => (await import('./lxc/container.ts')).lxcTarget,
  },
  {
    kind: 'lxc-cache',
    summary: "DISTRIBUTION/RELEASE/ARCH/VARIANT in lxc-create's own download cache",
    load: async () => (await import('./lxc/cache.ts')).lxcCacheTarget,
  },
  {
    kind: 'system',
    summary:
      'labelled versions of a system on btrfs, with shared state; the default for the next boot is switched',
    load: async () => (await import('./system/system.ts')).systemTarget,
  },
  {
    kind: 'tar',
    summary: 'an archive, packed by its suffix: .tar, .tar.gz, .tar.xz, .tar.zst',
    load: async () => (await import('./artifact/tar.ts')).tarTarget,
  },
  {
    kind: 'cpio',
    summary: 'an initramfs (newc), packed by its suffix: .gz, .xz, .zst, else plain',
    load: async () => (await import('./artifact/cpio.ts')).cpioTarget,
  },
  {
    kind: 'squashfs',
    summary: 'a squashfs image (zstd)',
    load: async () => (await import('./artifact/squashfs.ts')).squashfsTarget,
  },
  {
    kind: 'erofs',
    summary: 'an EROFS image',
    load: async () => (await import('./artifact/erofs.ts')).erofsTarget,
  },
  {
    kind: 'ext4',
    summary: 'an ext4 file system; --set size=10G for a larger one',
    load: async () => (await import('./artifact/ext4.ts')).ext4Target,
  },
  {
    kind: 'disk',
    summary: 'a bootable disk, raw or .qcow2; --set size=10G, --set cmdline=…',
    load: async () => (await import('./artifact/disk.ts')).diskTarget,
  },
  {
    kind: 'oci',
    summary: 'an OCI image layout in a directory',
    load: async () => (await import('./oci/oci.ts')).ociTarget,
  },
  {
    kind: 'docker',
    summary: 'an image in Docker, missing layers only',
    load: async () => (await import('./runtime/docker.ts')).dockerTarget,
  },
  {
    kind: 'podman',
    summary: 'an image in podman, missing layers only',
    load: async () => (await import('./runtime/podman.ts')).podmanTarget,
  },
  {
    kind: 'containerd',
    summary: 'NAMESPACE/NAME: an image in containerd, missing layers only',
    load: async () => (await import('./runtime/containerd.ts')).containerdTarget,
  },
];

/** @throws E_TARGET_INVALID */
export async function openTarget(text: string, options: TargetOptions): Promise<Target> {
  const colon = text.indexOf(':');
  const kind = targetKinds.find((known) => known.kind === text.slice(0, Math.max(colon, 0)));
  if (kind !== undefined) return (await kind.load()).open(text.slice(colon + 1), options);
  throw new CellarError('E_TARGET_INVALID', {
    details: { target: text, problem: 'a target is written kind:rest' },
    hint: meant(text, colon),
  });
}

/** A path alone may have been meant as a directory; a kind may be a slip; else the kinds there are. */
function meant(text: string, colon: number): string {
  const kinds = targetKinds.map((known) => known.kind);
  if (text.startsWith('/')) return `did you mean 'dir:${text}'? 'cellar help names' explains targets`;
  const near = colon < 0 ? undefined : nearest(text.slice(0, colon), kinds);
  if (near !== undefined) return `did you mean '${near}${text.slice(colon)}'?`;
  return `kinds are ${kinds.join(', ')}; 'cellar help names' explains them`;
}
