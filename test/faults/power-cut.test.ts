/**
 * A power cut after each step of the write order: the process is stopped at every syncfs, fsync and fdatasync (and
 * at some of the renames), its device copied as it stands, and the copy mounted, journal replayed. Whatever
 * reference is there must have all its bytes.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cellar, cellarOk, cellarProgram } from '../support/cellar.ts';
import { makeLoopFilesystem, mountCopy, type LoopType } from '../support/loopfs.ts';
import { needs, quote, run, sh, soak } from '../support/run.ts';
import { makeScratch } from '../support/scratch.ts';
import { exportDigest, makeRig, sleep, type Rig } from './rig.ts';

const sizes: Readonly<Record<LoopType, number>> = {
  ext4: 96 << 20,
  'ext4-nojournal': 96 << 20,
  xfs: 320 << 20,
  btrfs: 192 << 20,
};

for (const type of Object.keys(sizes) as LoopType[]) {
  const program = type === 'xfs' || type === 'btrfs' ? `mkfs.${type}` : 'mkfs.ext4';
  const skip = needs({ root: true, programs: ['strace', 'losetup', program] });
  test(`a power cut on ${type}`, { skip }, async (context) => {
    await using loop = await makeLoopFilesystem({ type, size: sizes[type] });
    using rig = await makeRig({ files: 80, seed: 51, parent: loop.mount });
    await sh(`sync -f ${quote(loop.mount)}`);
    const wanted = new Map([
      ['old', rig.exported],
      ['other', rig.exported],
      ['new', await digestOfNext(rig)],
    ]);
    const seen: string[] = [];
    const check = async (step: string): Promise<void> => {
      seen.push(`${step}: ${(await checkCopy(loop.image, type, wanted)).join(' ')}`);
    };
    await check('before');
    const stops = await stepThrough(['import', rig.nextTar, 'new'], rig.store, check);
    await check('after');
    assert.match(seen.at(-1) ?? '', / new/, 'once the command has ended the reference is there');
    await stepThrough(['rm', 'new'], rig.store, check);
    await stepThrough(['gc', '--grace', '0'], rig.store, check);
    assert.ok(stops >= 3, `only ${stops} stops`);
    context.diagnostic(`${seen.length} copies checked`);
  });
}

/** Runs the command and calls `check` at each stop. @returns how many there were */
async function stepThrough(
  args: readonly string[],
  store: string,
  check: (step: string) => Promise<void>,
): Promise<number> {
  using scratch = makeScratch('strace');
  const log = join(scratch.path, 'log');
  const renames = soak ? '1+5' : '1+60';
  const options = [
    '-f',
    '--seccomp-bpf',
    '-o',
    log,
    '-e',
    'trace=syncfs,fsync,fdatasync,rename,renameat2,unlink',
  ];
  const inject = [
    ['-e', 'inject=syncfs,fsync,fdatasync:signal=SIGSTOP:when=1+'],
    ['-e', `inject=rename,renameat2,unlink:signal=SIGSTOP:when=${renames}`],
  ].flat();
  const child = spawn('strace', [...options, ...inject, cellarProgram, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, CELLAR_STORE: store, NODE_DISABLE_COMPILE_CACHE: '1' },
  });
  let problems = '';
  child.stderr.on('data', (text: Buffer) => (problems += text.toString()));
  let running = true;
  const exit = new Promise<number | null>((resolve) =>
    child.once('exit', (code) => {
      running = false;
      resolve(code);
    }),
  );
  let stops = 0;
  let handled = 0;
  while (running) {
    const trace = existsSync(log) ? readFileSync(log, 'latin1') : '';
    const leader = /^\d+/.exec(trace)?.[0];
    const stopped = trace.split('\n').filter((line) => line.includes('--- SIGSTOP {')).length;
    if (leader === undefined || stopped <= handled) {
      await sleep(3);
      continue;
    }
    // All threads stop with it: wait until nothing moves any more.
    await sleep(30);
    handled = readFileSync(log, 'latin1')
      .split('\n')
      .filter((line) => line.includes('--- SIGSTOP {')).length;
    stops++;
    await check(`${args[0]} stop ${stops}`);
    process.kill(Number(leader), 'SIGCONT');
  }
  assert.equal(await exit, 0, problems);
  return stops;
}

/** Mounts a copy of the device as after a power cut. @returns the references found, each complete */
async function checkCopy(
  image: string,
  type: LoopType,
  wanted: ReadonlyMap<string, string>,
): Promise<string[]> {
  using scratch = makeScratch('power-cut');
  const copy = join(scratch.path, 'image');
  await sh(`cp --sparse=always ${quote(image)} ${quote(copy)}`);
  // Without a journal the boot scripts' fsck is what makes it mountable.
  if (type === 'ext4-nojournal') await run(['e2fsck', '-fy', copy]);
  await using loop = await mountCopy(copy, type === 'xfs' ? 'nouuid' : undefined);
  const store = join(loop.mount, 'store');
  const checked = await cellar(['--json', 'fsck'], { store });
  assert.equal(checked.code, 0, checked.stdout + checked.stderr);
  const listed = JSON.stringify(await cellarOk(['ls'], { store }));
  const found = [...wanted.keys()].filter((name) => new RegExp(`"${name}(:latest)?"`).test(listed));
  assert.ok(found.includes('old') && found.includes('other'), listed);
  for (const name of found) assert.equal(await exportDigest(name, store), wanted.get(name), name);
  return found;
}

async function digestOfNext(rig: Rig): Promise<string> {
  using scratch = makeScratch('next');
  const store = join(scratch.path, 'store');
  await cellarOk(['import', rig.nextTar, 'new'], { store });
  return await exportDigest('new', store);
}
