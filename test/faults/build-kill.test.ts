/**
 * `kill -9` of a build, of cellar alone and not of what it started: nothing that it ran goes on, nothing stays mounted or
 * staged after the next command, and the reference names the image before or the whole new one.
 */
import assert from 'node:assert/strict';
import {
  copyFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cellar, cellarOk } from '../support/cellar.ts';
import { scratchDirectory } from '../support/filesystem.ts';
import { needs, portion, sh } from '../support/run.ts';
import { assertClean, ended, sleep, startCellar } from './rig.ts';
import { mountsBelow } from '../support/scratch.ts';
import { generator } from '../support/random.ts';

const rounds = portion(300, 3);
const random = generator(Number(process.env['CELLAR_SEED'] ?? 42));
const skip = needs({ root: true, programs: ['busybox', 'unshare', 'setpriv'] });

test(`${rounds} builds are killed`, { skip }, async (context) => {
  using scratch = scratchDirectory();
  const store = join(scratch.path, 'store');
  const base = join(scratch.path, 'base');
  await makeBase(base);
  await cellarOk(['import', base, 'base'], { store });
  const mark = `${process.pid}${Math.floor(random() * 1e6)}`;
  const recipe = join(scratch.path, 'recipe.yaml');
  let killed = 0;
  let longest: number | undefined;
  for (let round = 0; round < rounds; round++) {
    writeFileSync(
      recipe,
      `base: base\nrun:\n- echo ${round} >/etc/first; (sleep 0.1${mark} & sleep 0.1${mark})\n- echo ${round} >/etc/last\n`,
    );
    const started = performance.now();
    const child = startCellar(['build', '-f', recipe, 'web'], store);
    if (longest !== undefined) {
      await Promise.race([sleep(random() * longest), ended(child)]);
      child.kill('SIGKILL');
    }
    const code = await ended(child);
    if (longest === undefined) assert.equal(code, 0);
    longest ??= performance.now() - started;
    killed += code === null ? 1 : 0;
    const what = `round ${round} ${code === null ? 'killed' : 'done'}`;
    await gone(mark, what);
    await assertClean(store, what);
    assert.deepEqual(mountsBelow(join(store, 'tmp')), [], what);
    assert.deepEqual((await cellarOk(['checkouts'], { store }))['checkouts'], [], what);
    const first = await cellar(['cat', 'web', 'etc/first'], { store });
    const last = await cellar(['cat', 'web', 'etc/last'], { store });
    assert.equal(first.stdout, last.stdout, what);
    assert.equal(last.code, 0, what);
  }
  assert.deepEqual(readdirSync(join(store, 'checkouts')), []);
  context.diagnostic(`${killed} of ${rounds} were killed before their end`);
});

async function makeBase(base: string): Promise<void> {
  for (const name of ['bin', 'etc']) mkdirSync(join(base, name), { recursive: true });
  copyFileSync((await sh('command -v busybox')).trim(), join(base, 'bin/busybox'));
  chmodSync(join(base, 'bin/busybox'), 0o755);
  for (const name of ['sh', 'sleep', 'echo']) symlinkSync('busybox', join(base, 'bin', name));
}

/** The kernel ends them right after their parent, not at the same moment. */
async function gone(mark: string, what: string): Promise<void> {
  for (let attempt = 0; running(mark); attempt++) {
    assert.ok(attempt < 1500, `${what}: its commands go on`);
    await sleep(20);
  }
}

function running(mark: string): boolean {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .some((pid) => commandLine(pid).includes(mark));
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
