/**
 * Small file systems on loop devices, for tests that fill one up or copy its device while it is written.
 * They always go away: with `await using`, at the process's exit, and, when the process was killed, at the start of
 * the next test that makes one (the directory's name tells whose it was).
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, sh, quote } from './run.ts';
import { remove } from './scratch.ts';

export type LoopType = 'ext4' | 'ext4-nojournal' | 'xfs' | 'btrfs';

export interface LoopFilesystem extends AsyncDisposable {
  /** Where it is mounted. */
  readonly mount: string;
  readonly device: string;
  /** The backing file; with direct I/O on the loop device it holds what was submitted to the device, no more. */
  readonly image: string;
}

export interface LoopOptions {
  readonly type: LoopType;
  /** Bytes. xfs wants at least 300 MiB, btrfs 110 MiB. */
  readonly size: number;
  readonly mountOptions?: string;
}

const registry = join(tmpdir(), 'cellar-test-loops');
const alive = new Set<string>();
let swept = false;

/** Makes, formats and mounts one. Needs root. */
export async function makeLoopFilesystem(options: LoopOptions): Promise<LoopFilesystem> {
  sweep();
  const directory = mkdtempSync(join(registry, `${process.pid}-${startTime(process.pid) ?? ''}-`));
  alive.add(directory);
  const image = join(directory, 'image');
  writeFileSync(image, '');
  truncateSync(image, options.size);
  await sh(`${mkfs[options.type]} ${quote(image)}`);
  return attach(directory, image, options.mountOptions);
}

/** Mounts a copy of a backing file, read-write so that its journal is replayed. The copy is taken over. */
export async function mountCopy(image: string, mountOptions?: string): Promise<LoopFilesystem> {
  sweep();
  const directory = mkdtempSync(join(registry, `${process.pid}-${startTime(process.pid) ?? ''}-`));
  alive.add(directory);
  const own = join(directory, 'image');
  await sh(`mv -- ${quote(image)} ${quote(own)}`);
  return attach(directory, own, mountOptions);
}

const mkfs: Readonly<Record<LoopType, string>> = {
  ext4: 'mkfs.ext4 -q -F -m 0 -E lazy_itable_init=0,lazy_journal_init=0',
  'ext4-nojournal': 'mkfs.ext4 -q -F -m 0 -O ^has_journal -E lazy_itable_init=0',
  xfs: 'mkfs.xfs -q -f -m reflink=1',
  btrfs: 'mkfs.btrfs -q -f',
};

async function attach(directory: string, image: string, mountOptions = ''): Promise<LoopFilesystem> {
  const mount = join(directory, 'mnt');
  mkdirSync(mount);
  try {
    const device = (await sh(`losetup --show -f --direct-io=on ${quote(image)}`)).trim();
    await sh(`mount ${mountOptions === '' ? '' : `-o ${mountOptions}`} ${quote(device)} ${quote(mount)}`);
    return {
      mount,
      device,
      image,
      [Symbol.asyncDispose]: async () => {
        await run(['true']); // lets the last child's exit be reaped before the mount is called busy
        release(directory);
      },
    };
  } catch (error) {
    release(directory);
    throw error;
  }
}

/** Unmounts everything below, detaches its loop devices and removes it. */
function release(directory: string): void {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${directory}/`));
  for (const path of mounts.reverse()) spawnSync('umount', ['-l', path]);
  for (const line of spawnSync('losetup', ['-nO', 'NAME,BACK-FILE', '-a']).stdout.toString().split('\n')) {
    const [name = '', file = ''] = line.trim().split(/\s+/);
    if (file.startsWith(`${directory}/`)) spawnSync('losetup', ['-d', name]);
  }
  remove(directory);
  alive.delete(directory);
}

/** Takes away what killed test processes left. */
function sweep(): void {
  mkdirSync(registry, { recursive: true });
  if (swept) return;
  swept = true;
  process.on('exit', () => [...alive].forEach(release));
  for (const name of readdirSync(registry)) {
    const [pid = '', started] = name.split('-');
    if (startTime(Number(pid)) !== started) release(join(registry, name));
  }
}

/** Start time of a process in clock ticks: with the pid it names a process for good. Source: proc(5). */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
