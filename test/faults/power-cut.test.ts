/**
 * A power cut after each step of the write order: the process is stopped after every syncfs, fsync and fdatasync (and
 * some of the renames and unlinks), its device copied as it stands, and the copy mounted, journal replayed. Whatever
 * reference is there must have all its bytes.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cellar, cellarOk, cellarProgram } from '../support/cellar.ts';
import { makeLoopFilesystem, mountCopy, type LoopFilesystem, type LoopType } from '../support/loopfs.ts';
import { needs, quote, run, sh, soak, soakShare } from '../support/run.ts';
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
  const isShort = type === 'ext4' || type === 'btrfs';
  const lacking = needs({ root: true, programs: ['strace', 'losetup', program] });
  const skip = lacking === false && !soak && !isShort ? 'only in the soak run' : lacking;
  test(`a power cut on ${type}`, { skip }, async (context) => {
    await using loop = await makeLoopFilesystem({ type, size: sizes[type] });
    using rig = await makeRig({ files: 80, seed: 51, parent: loop.mount });
    await sh(`sync -f ${quote(loop.mount)}`);
    const digests = { old: rig.exported, other: rig.exported, new: await digestOfNext(rig) };
    const powered = { type, loop, store: rig.store, wanted: new Map(Object.entries(digests)) };
    const imported = await stepThrough(powered, ['import', rig.nextTar, 'new']);
    assert.ok(imported >= 4, `only ${imported} copies during the import`);
    using scratch = makeScratch('after');
    const image = join(scratch.path, 'image');
    await sh(`cp --sparse=always ${quote(loop.image)} ${quote(image)}`);
    assert.ok((await checkCopy(powered, image, 'after')).includes('new'), 'a finished import is there');
    // The short run stops at the import.
    const rest = soak
      ? [
          ['rm', 'new'],
          ['gc', '--grace', '0'],
        ]
      : [];
    let copies = imported + 1;
    for (const args of rest) copies += await stepThrough(powered, args);
    context.diagnostic(`${copies} copies checked`);
  });
}

interface Powered {
  readonly type: LoopType;
  readonly loop: LoopFilesystem;
  readonly store: string;
  /** Reference → digest of its export. */
  readonly wanted: ReadonlyMap<string, string>;
}

/** Of so many fsyncs the short run looks at one: on ext4 at more, where most stores are. */
const sparsely: Readonly<Record<LoopType, number>> = { ext4: 4, 'ext4-nojournal': 8, xfs: 8, btrfs: 8 };

/** Of so many renames and unlinks of each thread one is a step. */
const stride = soak ? Math.max(1, Math.round(1 / soakShare)) : 60;

/**
 * Runs the command, stopped after each step, and checks a copy of the device taken while it stands still.
 * @returns how many copies there were
 */
async function stepThrough(rig: Powered, args: readonly string[]): Promise<number> {
  using scratch = makeScratch('strace');
  const log = join(scratch.path, 'log');
  const inject = [
    ['-e', `inject=syncfs,fsync,fdatasync:signal=SIGSTOP:when=1+`],
    ['-e', `inject=rename,renameat2,unlink:signal=SIGSTOP:when=1+${stride}`],
  ].flat();
  const trace = ['-f', '-y', '-o', log, '-e', 'trace=syncfs,fsync,fdatasync,rename,renameat2,unlink'];
  const child = spawn('strace', [...trace, ...inject, cellarProgram, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, CELLAR_STORE: rig.store, NODE_DISABLE_COMPILE_CACHE: '1' },
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
  const copies: { step: string; image: string }[] = [];
  for (let handled = 0, steps = 0; running;) {
    const { stops, step } = lastStop(log);
    const stopped = stops === handled ? undefined : standingStill(child.pid as number);
    if (stopped === undefined) {
      await sleep(5);
      continue;
    }
    handled = stops;
    if (step.includes(rig.store) && isWanted(rig, step, steps++)) {
      const image = join(scratch.path, `image-${handled}`);
      await sh(`cp --sparse=always ${quote(rig.loop.image)} ${quote(image)}`);
      copies.push({ step, image });
    }
    process.kill(stopped, 'SIGCONT');
  }
  assert.equal(await exit, 0, problems);
  for (const { step, image } of copies) await checkCopy(rig, image, `${args[0]}: ${step}`);
  return copies.length;
}

/** One SQLite commit syncs its files again and again: the short run looks at few of these, and at every other step else. */
function isWanted({ type }: Powered, step: string, index: number): boolean {
  return soak || step.includes(' syncfs(') || index % (step.includes(' fsync(') ? sparsely[type] : 2) === 0;
}

/** How often the process was stopped so far, and the last call before it was. */
function lastStop(log: string): { stops: number; step: string } {
  if (!existsSync(log)) return { stops: 0, step: '' };
  const lines = readFileSync(log, 'latin1').split('\n');
  const marks = lines.flatMap((line, index) => (line.includes(' --- SIGSTOP {') ? [index] : []));
  // The signal is on its way until a thread has stopped by it.
  const isStopped = (mark: number): boolean =>
    lines.slice(mark).some((line) => line.includes(' --- stopped by SIGSTOP'));
  while (marks.length > 0 && !isStopped(marks.at(-1) as number)) marks.pop();
  const before = lines.slice(0, marks.at(-1) ?? 0).filter((line) => !line.includes(' --- '));
  return { stops: marks.length, step: before.at(-1) ?? '' };
}

/** The process that strace runs, once all of its threads are stopped. */
function standingStill(tracer: number): number | undefined {
  const [pid] = readFileSync(`/proc/${tracer}/task/${tracer}/children`, 'latin1').split(' ');
  if (pid === undefined || pid === '') return undefined;
  const states = readdirSync(`/proc/${pid}/task`).map((thread) =>
    stateOf(`/proc/${pid}/task/${thread}/stat`),
  );
  return states.every((state) => state === 't' || state === 'T') ? Number(pid) : undefined;
}

function stateOf(file: string): string {
  try {
    const stat = readFileSync(file, 'latin1');
    return stat.charAt(stat.lastIndexOf(')') + 2);
  } catch {
    return 't'; // it ended
  }
}

/** Mounts a copy of the device as after a power cut. @returns the references found, each complete */
async function checkCopy(rig: Powered, copy: string, step: string): Promise<string[]> {
  // Without a journal the boot scripts' fsck is what makes it mountable.
  if (rig.type === 'ext4-nojournal') await run(['e2fsck', '-fy', copy]);
  await using loop = await mountCopy(copy, rig.type === 'xfs' ? 'nouuid' : undefined);
  const store = join(loop.mount, 'store');
  const checked = await cellar(['--json', 'fsck'], { store });
  assert.equal(checked.code, 0, `${step}: ${checked.stdout}${checked.stderr}`);
  const listed = JSON.stringify(await cellarOk(['ls'], { store }));
  const found = [...rig.wanted.keys()].filter((name) => new RegExp(`"${name}(:latest)?"`).test(listed));
  assert.ok(found.includes('old') && found.includes('other'), `${step}: ${listed}`);
  for (const name of found) {
    assert.equal(await exportDigest(name, store), rig.wanted.get(name), `${step}: ${name}`);
  }
  return found;
}

async function digestOfNext(rig: Rig): Promise<string> {
  using scratch = makeScratch('next');
  const store = join(scratch.path, 'store');
  await cellarOk(['import', rig.nextTar, 'new'], { store });
  return await exportDigest('new', store);
}
