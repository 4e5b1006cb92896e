/** Which mounts are a checkout's: names that mountinfo shows, here and in the mount namespaces of other processes. */
import { readFileSync, readlinkSync } from 'node:fs';
import { toText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { mountInfo, mountsAt, parseMountInfo, type MountInfo } from '../sys/mountinfo.ts';
import { processIds } from '../sys/proc.ts';
import type { CheckoutRow } from './checkouts.ts';

/** What mountinfo shows as the source of an overlay of this checkout. */
export function mountSource(id: string): ByteString {
  return `cellar:${id}`;
}

/** Last part of the name of a checkout's volume, and so of its mount's source. */
export function volumeName(id: string): string {
  return `cellar-${id}`;
}

/** Of the volume that a base lies on. `id` is that of the checkout it was first made for. */
export function baseVolumeName(id: string): string {
  return `cellar-base-${id}`;
}

/**
 * Mounts that belong to a checkout: by their source, wherever they are; those of hard links and of fuse-overlayfs, which
 * carry no name of ours, by the place where the checkout is.
 */
export function mountsOf(
  { id, path }: Pick<CheckoutRow, 'id' | 'path'>,
  mounts: readonly MountInfo[] = mountInfo(),
): MountInfo[] {
  return mounts.filter(
    ({ source, root, type, mountPoint }) =>
      source === mountSource(id) ||
      source.endsWith(`/${volumeName(id)}`) ||
      source.endsWith(`/${baseVolumeName(id)}`) ||
      (mountPoint === path && (type === 'fuse.fuse-overlayfs' || root.includes('/mnt/linked/'))),
  );
}

/**
 * An unmounted checkout shows an empty directory, or what lies below; storing that would lose everything. What has no
 * identity is a mount: an overlay, or a volume of its own.
 * @throws E_CHECKOUT_UNMOUNTED
 */
export function requireMounted(row: CheckoutRow): void {
  if (row.identity !== undefined) return;
  const top = mountsAt(row.path).at(-1);
  if (top !== undefined && mountsOf(row, [top]).length > 0) return;
  throw new CellarError('E_CHECKOUT_UNMOUNTED', { details: { path: toText(row.path) } });
}

/**
 * Who still sees the checkout mounted: `podman (4711)`, one process of each other mount namespace, and in this one the
 * places where it was bound to. Programs that live in a namespace of their own for long (rootless podman, services with
 * PrivateTmp=) keep what was mounted when they began.
 */
export function seenBy(row: CheckoutRow): string[] {
  const all = namespaces();
  const own = readlinkSync('/proc/self/ns/mnt');
  return all.flatMap(({ pid, mounts, namespace }) => {
    const seen = mountsOf(row, parseMountInfo(mounts));
    if (namespace === own) return seen.map(({ mountPoint }) => `the mount ${toText(mountPoint)}`);
    return seen.length > 0 ? [`${commandOf(pid)} (${pid})`] : [];
  });
}

/** The text of mountinfo of every mount namespace that a process we may look at lives in. */
export function allMountInfo(): string {
  return namespaces()
    .map(({ mounts }) => mounts)
    .join('');
}

interface Namespace {
  readonly namespace: string;
  /** Of a process that lives in it. */
  readonly pid: string;
  readonly mounts: string;
}

function namespaces(): Namespace[] {
  const seen = new Map<string, Namespace>();
  for (const pid of processIds()) {
    try {
      const namespace = readlinkSync(`/proc/${pid}/ns/mnt`);
      if (!seen.has(namespace))
        seen.set(namespace, { namespace, pid, mounts: readFileSync(`/proc/${pid}/mountinfo`, 'latin1') });
    } catch {
      // It ended meanwhile, or is not ours to look at.
    }
  }
  return [...seen.values()];
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return 'a process that ended';
  }
}
