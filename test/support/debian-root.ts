/**
 * A real Debian root file system to test on: the directory or tar file that CELLAR_TEST_ROOTFS names; else, as root,
 * one that mmdebstrap makes from this machine's own apt sources; else a part of this machine's /etc and /usr.
 * What is made is kept in `$TMPDIR/cellar-test-debian-<uid>` for the rest of the test run and a day after.
 */
import { existsSync, mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasPrograms, quote, run, sh } from './run.ts';
import { remove } from './scratch.ts';

export interface DebianRoot {
  readonly path: string;
  readonly origin: 'given' | 'mmdebstrap' | 'machine';
}

/** Read it, never write into it: test processes share it. */
export async function debianRoot(): Promise<DebianRoot> {
  const given = process.env['CELLAR_TEST_ROOTFS'];
  if (given !== undefined && statSync(given).isDirectory()) return { path: given, origin: 'given' };
  const cache = join(tmpdir(), `cellar-test-debian-${process.geteuid?.() ?? 0}`);
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  return withLock(cache, async () => {
    const path = join(cache, 'root');
    if (!fresh(path)) await make(path, given);
    return { path, origin: given === undefined ? 'mmdebstrap' : 'given' };
  });
}

async function make(path: string, given: string | undefined): Promise<void> {
  const building = `${path}.new`;
  remove(building);
  remove(path);
  if (given !== undefined) {
    mkdirSync(building);
    await sh(
      `tar -C ${quote(building)} --numeric-owner --xattrs --xattrs-include='*' --acls -xpf ${quote(given)}`,
    );
  } else if (!(await debootstrap(building))) {
    await copyOfMachine(building);
  }
  renameSync(building, path);
}

/** With iputils-ping for a file capability. */
async function debootstrap(path: string): Promise<boolean> {
  if (process.geteuid?.() !== 0 || !hasPrograms('mmdebstrap')) return false;
  const sources = await sh(
    'ls /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null || true',
  );
  const options = ['--quiet', '--mode=root', '--variant=minbase', '--include=iputils-ping'];
  const made = await run(['mmdebstrap', ...options, '', path, ...sources.split('\n').filter(Boolean)]);
  if (made.code === 0) return true;
  process.emitWarning(`mmdebstrap failed, taking this machine's /usr and /etc: ${made.stderr.slice(-300)}`);
  remove(path);
  return false;
}

async function copyOfMachine(path: string): Promise<void> {
  mkdirSync(join(path, 'usr'), { recursive: true });
  // What an ordinary user may not read is left out, which cp reports by its exit code.
  for (const part of ['etc', 'usr/bin', 'usr/share/doc', 'usr/lib/python3', 'usr/share/zoneinfo']) {
    if (!existsSync(`/${part}`)) continue;
    mkdirSync(join(path, part, '..'), { recursive: true });
    await run(['cp', '-a', '--one-file-system', `/${part}`, join(path, part)]);
  }
}

function fresh(path: string): boolean {
  // ctime: mtime belongs to the tree.
  return existsSync(path) && Date.now() - statSync(path).ctimeMs < 24 * 3600 * 1000;
}

/** One process makes it, the others wait: a lock file that names its owner. */
async function withLock<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const lock = join(directory, 'lock');
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const owner = await sh(`cat ${quote(lock)} 2>/dev/null || true`);
      if (owner !== '' && !existsSync(`/proc/${owner}`)) remove(lock);
      else await new Promise((resolve) => setTimeout(resolve, 500));
      if (attempt > 600) throw new Error(`${lock} is held by ${owner} for too long`, { cause: error });
    }
  }
  try {
    return await work();
  } finally {
    remove(lock);
  }
}
