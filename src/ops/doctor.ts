/**
 * `cellar doctor`: what this machine and this store can do, each finding with what to do about it. It tries things
 * rather than trusting version numbers, changes nothing that stays, and never fails itself: a failure is a finding.
 */
import { existsSync, statfsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isErrno, reasonOf } from '../sys/errno.ts';
import { canUseFuse } from '../sys/fuse.ts';
import { findProgram } from '../sys/programs.ts';
import { fromText } from '../core/bytes.ts';
import { CellarError, isCellarError } from '../core/errors.ts';
import { count } from '../core/quantity.ts';
import { listCheckouts } from '../store/checkouts.ts';
import { openStore } from '../store/store.ts';
import { probe, type Capability, type Capabilities } from '../sys/probe.ts';
import { clockFinding, privilegeFindings, runtimeFinding } from './doctor-machine.ts';
import type { Context } from './context.ts';

export interface Finding {
  readonly title: string;
  readonly status: 'pass' | 'warn' | 'fail';
  readonly detail: string;
  /** What to do; absent when there is nothing to do. */
  readonly fix?: string;
}

export interface DoctorResult {
  readonly store: string;
  readonly findings: readonly Finding[];
  readonly failed: number;
}

export async function doctor(context: Context): Promise<DoctorResult> {
  const store = storeFindings(context);
  const findings = [
    runtimeFinding(),
    ...store.findings,
    ...filesystemFindings(store.probeAt),
    ...privilegeFindings(),
    clockFinding(),
    ...programFindings(),
  ];
  const failed = findings.filter(({ status }) => status === 'fail').length;
  return { store: context.storeRoot, findings, failed };
}

function storeFindings({ storeRoot }: Context): { findings: Finding[]; probeAt: string | undefined } {
  try {
    using store = openStore(storeRoot, { readOnly: true });
    const rows = store.rows.check();
    const database: Finding =
      rows.length === 0
        ? pass('database', `${count(listCheckouts(store).length, 'checkout')} on record`)
        : fail(
            'database',
            rows.map(({ kind, key, problem }) => `${kind} ${key}: ${problem}`).join('; '),
            "run 'cellar fsck --repair'",
          );
    return {
      findings: [pass('store', `${store.root} is readable`), database, spaceFinding(store.root)],
      probeAt: store.root,
    };
  } catch (error) {
    if (isCellarError(error, 'E_NO_STORE'))
      return {
        findings: [warn('store', `there is none at ${storeRoot} yet`, "'cellar import' makes it")],
        probeAt: nearest(resolve(storeRoot)),
      };
    const detail = error instanceof Error ? error.message : String(error);
    const hint = error instanceof CellarError ? error.hint : undefined;
    return { findings: [fail('store', detail, hint)], probeAt: undefined };
  }
}

/** Where a store would be made: the closest directory above it that is there. */
function nearest(path: string): string {
  return existsSync(path) || path === '/' ? path : nearest(dirname(path));
}

function spaceFinding(root: string): Finding {
  const { bavail, blocks, bsize } = statfsSync(root);
  const free = `${((bavail * bsize) / 2 ** 30).toFixed(1)} GiB free`;
  const share = blocks === 0 ? 1 : bavail / blocks;
  if (bavail * bsize < 2 ** 28) return fail('free space', free, "free some with 'cellar rm' and 'cellar gc'");
  return share < 0.05
    ? warn('free space', `${free}, less than 5 %`, "'cellar du' shows what takes it")
    : pass('free space', free);
}

function filesystemFindings(root: string | undefined): Finding[] {
  if (root === undefined) return [];
  let found: Capabilities;
  try {
    found = probe(fromText(root));
  } catch (error) {
    return [warn('file system', `cannot be tried out: ${reasonOf(error)}`, untriedFix(error))];
  }
  const { filesystem } = found;
  return [
    filesystem.network
      ? fail('file system', `${filesystem.type} is a network file system`, 'put the store on a local one')
      : pass('file system', filesystem.type),
    can('hard links', found.hardlink, 'checkouts copy instead'),
    can(
      'reflinks',
      found.reflink,
      'xfs and btrfs have them; without, writable checkouts need an overlay or copies',
    ),
    can('user xattrs', found.xattrUser, 'attributes are kept in the manifest, but not on checked-out files'),
    can('trusted xattrs', found.xattrTrusted, 'only root can set them'),
    can('overlay', found.overlay, 'needs root and a kernel with overlayfs; checkouts copy instead'),
    can('EROFS', found.erofs, 'needs root, a kernel with EROFS and loop devices'),
    can(
      'composefs (data-only layers)',
      found.composefs,
      'needs root and Linux 6.5; checkouts use another method',
    ),
    can(
      'fs-verity',
      found.fsverity,
      'objects are checked by their inode instead of by the kernel at each read',
    ),
  ];
}

function untriedFix(error: unknown): string {
  if (isErrno(error, 'EROFS'))
    return 'it is mounted read-only: images can be read, and nothing can be stored';
  if (isErrno(error, 'ENOSPC', 'EDQUOT'))
    return "free some space: 'cellar gc', or other files beside the store";
  if (isErrno(error, 'EACCES', 'EPERM') && process.geteuid?.() !== 0) return 'run as the owner of the store';
  return 'nothing can be stored until a directory can be made there';
}

const programs = [
  ['xz', 'warn', 'xz-utils', 'packs and unpacks .tar.xz'],
  ['bzip2', 'warn', 'bzip2', 'unpacks .tar.bz2'],
  ['lz4', 'warn', 'lz4', 'unpacks .tar.lz4'],
  ['fuse-overlayfs', 'warn', 'fuse-overlayfs', 'writable checkouts without root and without reflinks'],
  ['unshare', 'warn', 'util-linux', 'checkouts with --idmap'],
] as const;

function programFindings(): Finding[] {
  return programs.map(([name, status, pack, why]) => {
    const path = findProgram(name);
    if (path !== undefined && (name !== 'fuse-overlayfs' || canUseFuse())) return pass(name, path);
    if (path !== undefined)
      return warn(name, `${path}, but /dev/fuse cannot be opened`, 'writable checkouts copy instead');
    return { title: name, status, detail: `not installed: ${why}`, fix: `apt-get install ${pack}` };
  });
}

function can(title: string, { available, reason }: Capability, otherwise: string): Finding {
  return available ? pass(title, reason) : warn(title, reason, otherwise);
}

function pass(title: string, detail: string): Finding {
  return { title, status: 'pass', detail };
}

function warn(title: string, detail: string, fix: string): Finding {
  return { title, status: 'warn', detail, fix };
}

function fail(title: string, detail: string, fix?: string): Finding {
  return { title, status: 'fail', detail, ...(fix === undefined ? {} : { fix }) };
}
