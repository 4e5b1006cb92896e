/**
 * What versions of a system share: subvolumes that are made once, from the content of the first version that asks for
 * them, and that every version's /etc/fstab mounts over its own directories.
 */
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, realpathSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fromText, toText, type ByteString } from '../../core/bytes.ts';
import { sha256, type Digest } from '../../core/digest.ts';
import { fsyncDir, writeFileAtomic } from '../../sys/atomic.ts';
import { mountOf } from '../../sys/mountinfo.ts';
import { btrfs, filesystemUuid } from './btrfs-program.ts';
import type { Workbench } from '../port.ts';
import { copy } from './boot.ts';
import type { SystemLayout } from './layout.ts';

export interface Shared {
  readonly layout: SystemLayout;
  /** Holds `orig` and `run`; what is being made lies in it until it is whole. */
  readonly directory: string;
  /** Names of top-level directories. */
  readonly names: readonly string[];
  readonly bench: Workbench;
}

/** Make what is missing, and have `run` mount it. @returns digest of /etc/fstab as it is now */
export async function shareState(shared: Shared): Promise<Digest | undefined> {
  const { layout, directory, names, bench } = shared;
  const run = join(directory, 'run');
  const fstab = join(run, 'etc/fstab');
  const stat = lstatSync(fstab, { throwIfNoEntry: false });
  if (
    stat?.isFile() === false ||
    lstatSync(join(run, 'etc'), { throwIfNoEntry: false })?.isDirectory() !== true
  ) {
    if (names.length > 0) warn(bench, '/etc/fstab is no file of this tree, so nothing is shared');
    return undefined;
  }
  const before = stat === undefined ? '' : readFileSync(fstab, 'latin1');
  const mounted = mountPoints(before);
  const usable = names.filter((name) => !mounted.has(`/${name}`) && isUsable(run, name, bench));
  for (const name of usable) {
    await makeState(shared, name);
    mkdirSync(join(run, name), { recursive: true });
  }
  if (usable.length === 0) return stat === undefined ? undefined : sha256(Buffer.from(before, 'latin1'));
  const { mountPoint, base } = placeOf(layout.path);
  const device = `UUID=${await filesystemUuid(mountPoint, bench.signal)}`;
  const after = completeFstab(before, { device, base, names: usable });
  writeFileAtomic(fromText(fstab), Buffer.from(after, 'latin1'), {
    mode: stat === undefined ? 0o644 : stat.mode & 0o7777,
  });
  return sha256(Buffer.from(after, 'latin1'));
}

/** What a file that we completed was before is what the tree has; somebody else's is his. */
export function isAsCompleted(run: string, fstab: Digest | undefined): boolean {
  const path = join(run, 'etc/fstab');
  if (fstab === undefined || lstatSync(path, { throwIfNoEntry: false })?.isFile() !== true) return false;
  return sha256(readFileSync(path)) === fstab;
}

/** Nobody has changed the one of `run`, a copy of `orig`. */
export function hasSameFstab(orig: string, run: string): boolean {
  const [a, b] = [orig, run].map((root) => {
    const path = join(root, 'etc/fstab');
    return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true ? readFileSync(path) : undefined;
  });
  return a === undefined || b === undefined ? a === b : a.equals(b);
}

export interface Completion {
  /** As fstab(5) names it. */
  readonly device: string;
  /** Path of the layout from the top level of the file system, `` for the top level itself. */
  readonly base: ByteString;
  readonly names: readonly string[];
}

/** Lines for the root and the shared directories, where the table has none of its own for them. */
export function completeFstab(before: ByteString, { device, base, names }: Completion): ByteString {
  const mounted = mountPoints(before);
  const lines = mounted.has('/') ? [] : [`${device} / btrfs defaults,noatime 0 0`];
  for (const name of names)
    if (!mounted.has(`/${name}`))
      lines.push(`${device} /${name} btrfs subvol=${escape(base)}/state/${name},defaults,noatime 0 0`);
  const gap = before === '' || before.endsWith('\n') ? '' : '\n';
  return lines.length === 0 ? before : `${before}${gap}${lines.join('\n')}\n`;
}

/** Source: fstab(5). */
function mountPoints(fstab: ByteString): Set<ByteString> {
  return new Set(fields(fstab).map(([, mountPoint = '']) => mountPoint.replace(/(?<=.)\/+$/, '')));
}

function fields(fstab: ByteString): string[][] {
  return fstab
    .split('\n')
    .filter((line) => !/^\s*(?:#|$)/.test(line))
    .map((line) => line.trim().split(/\s+/));
}

function escape(path: ByteString): ByteString {
  return path.replace(/[\s\\]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

/** Where its btrfs is mounted, and its own path from the top level, `` for the top level itself. */
function placeOf(path: string): { mountPoint: string; base: ByteString } {
  const real = fromText(realpathSync(path));
  const mount = mountOf(real);
  if (mount === undefined) throw new Error(`${path} lies on no mount`);
  const below = real.slice(mount.mountPoint === '/' ? 0 : mount.mountPoint.length);
  const base = `${mount.root === '/' ? '' : mount.root}${below === '/' ? '' : below}`;
  return { mountPoint: toText(mount.mountPoint), base };
}

async function makeState({ layout, directory, bench }: Shared, name: string): Promise<void> {
  const place = join(layout.state, name);
  if (existsSync(place)) return;
  const making = join(directory, `state-${name}`);
  await btrfs(['subvolume', 'create', making], bench.signal);
  const from = join(directory, 'orig', name);
  if (existsSync(from)) await copy(from, making, bench.signal);
  else chmodSync(making, 0o755);
  mkdirSync(layout.state, { recursive: true, mode: 0o755 });
  renameSync(making, place);
  fsyncDir(fromText(layout.state));
}

/** A directory of the tree, or nothing yet; a symlink leads into what is shared, or not, elsewhere. */
function isUsable(run: string, name: string, bench: Workbench): boolean {
  const stat = lstatSync(join(run, name), { throwIfNoEntry: false });
  if (stat === undefined || stat.isDirectory()) return true;
  warn(bench, `/${toText(fromText(name))} is no directory of this tree, so it is not shared`);
  return false;
}

function warn({ events }: Workbench, text: string): void {
  events({ type: 'warning', code: 'W_SYSTEM_STATE', text });
}
