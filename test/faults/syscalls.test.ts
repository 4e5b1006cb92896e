/**
 * Every file system call of the write path fails once, in turn. After each: our error with its exit code (13 and
 * "what is full" for ENOSPC and EDQUOT), the store as it was, and the same command works when repeated. A run may
 * also succeed, where the call that failed does not matter; then what it stored is complete.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cellar, cellarOk } from '../support/cellar.ts';
import { needs, portion, quote, sh, soak, soakShare } from '../support/run.ts';
import { makeScratch, remove } from '../support/scratch.ts';
import {
  faultsAt,
  importWithFault,
  learn,
  runWithFault,
  shuffled,
  writeCalls,
  type Fault,
  type Outcome,
} from './inject.ts';
import { exportDigest, makeRig, type Rig } from './rig.ts';
import { assertCleanWithin, exportDigestWithin, referencesWithin } from './within.ts';

const skip = needs({ programs: ['strace', 'tar'] });
/** Seconds that the sample of the CI run may take; the soak run tries them all, or its share of them. */
const budget = soak ? Infinity : 20;

test('calls failing once from the first byte of an import', { skip }, async (context) => {
  using rig = await makeRig({ files: 12, seed: 41 });
  const archive = readFileSync(rig.nextTar);
  const wanted = await digestOfNext(rig);
  const deadline = performance.now() + budget * 500;
  const tally = new Tally();
  const calls = shuffled(Object.keys(writeCalls));
  for (const call of calls) {
    const errors = writeCalls[call] as readonly string[];
    for (let when = 1, attempt = 0; ; when = soak ? when + Math.round(1 / soakShare) : when * 3, attempt++) {
      if (performance.now() > deadline) break;
      const fault = { call, error: errors[attempt % errors.length] as string, when };
      const hit = await tryFault(rig, fault, tally, {
        wanted,
        act: (store) => importWithFault(archive, store, fault),
      });
      if (!hit) break;
    }
  }
  assert.ok(tally.total > 0, 'no fault was tried');
  context.diagnostic(tally.summary());
});

for (const [name, prepare, args] of [
  ['import of a new version', undefined, (rig: Rig) => ['import', rig.nextTar, 'new']],
  ['first import', 'empty', (rig: Rig) => ['import', rig.nextTar, 'new']],
  ['commit', undefined, (rig: Rig) => ['commit', rig.next.root, 'new']],
  ['gc', 'garbage', () => ['gc', '--grace', '0']],
] as const) {
  test(`calls failing once in ${name}`, { skip }, async (context) => {
    using rig = await makeRig({ files: 12, seed: 43 });
    const wanted = await digestOfNext(rig);
    using learning = makeScratch('learn');
    const trial = join(learning.path, 'store');
    if (prepare !== 'empty') await copyStore(rig.store, trial);
    if (prepare === 'garbage') await makeGarbage(rig, rig.store, trial);
    const all = faultsAt(await learn(args(rig), trial));
    const deadline = performance.now() + budget * 125;
    const tally = new Tally();
    for (const fault of all.slice(0, portion(all.length, all.length))) {
      if (performance.now() > deadline) break;
      await tryFault(rig, fault, tally, {
        wanted: name === 'gc' ? undefined : wanted,
        empty: prepare === 'empty',
        act: (store) => runWithFault(args(rig), store, fault),
      });
    }
    assert.ok(tally.total > 0, 'no fault was tried');
    context.diagnostic(`${tally.summary()} of ${all.length} places`);
  });
}

test('locks and the journal cannot be closed: what is done is done', { skip }, async () => {
  using rig = await makeRig({ files: 12, seed: 43 });
  const wanted = await digestOfNext(rig);
  const last = { lock: 1, turnstile: 1, 'db.lock': 1, journal: 2 };
  for (const [file, when] of Object.entries(last)) {
    await tryFault(rig, { call: 'close', error: 'EIO', when }, new Tally(), {
      wanted,
      act: async (store) => {
        const fault = { call: 'close', error: 'EIO', when, path: join(store, file) };
        const outcome = await runWithFault(['import', rig.nextTar, 'new'], store, fault);
        assert.equal(outcome.injected.length, 1, file);
        assert.equal(outcome.code, 0, `${file}: ${outcome.stderr}`);
        return outcome;
      },
    });
  }
});

interface Trial {
  /** Digest of the export of `new` after success; none for gc. */
  readonly wanted: string | undefined;
  readonly empty?: boolean;
  readonly act: (store: string) => Promise<Outcome>;
}

/** @returns whether the fault hit anything */
async function tryFault(rig: Rig, fault: Fault, tally: Tally, trial: Trial): Promise<boolean> {
  const what = `${fault.call} #${fault.when} ${fault.error}`;
  using scratch = makeScratch('fault');
  const store = join(scratch.path, 'store');
  if (trial.empty !== true) await copyStore(rig.store, store);
  const before = trial.empty === true ? undefined : await referencesWithin(store);
  const outcome = await trial.act(store);
  if (outcome.injected.length === 0) return false;
  const context = `${what}\n  ${outcome.injected.join('\n  ')}\n  exit ${outcome.code}: ${outcome.stderr}`;
  // Outside the store it may be the program's own code that could not be read: then only the store matters.
  const onlyStore = outcome.injected.every((line) => line.includes(store));
  if (onlyStore && outcome.code !== 0) checkError(outcome, fault, context);
  tally.add(fault.call, outcome.code === 0);
  if (trial.empty === true && outcome.code !== 0) {
    await cellarOk(['import', rig.nextTar, 'new'], { store });
  } else {
    await assertCleanWithin(store, context);
  }
  if (trial.wanted !== undefined) {
    if (outcome.code !== 0 && before !== undefined) {
      // A failure outside the store, Node's own at its exit for instance, may come after all was done.
      if (onlyStore) assert.equal(await referencesWithin(store), before, `references changed: ${context}`);
      await cellarOk(['import', rig.nextTar, 'new'], { store });
    }
    assert.equal(await exportDigestWithin('new', store), trial.wanted, context);
  }
  if (before !== undefined) assert.equal(await exportDigestWithin('old', store), rig.exported, context);
  remove(store);
  return true;
}

function checkError({ code, stderr, injected }: Outcome, { error }: Fault, context: string): void {
  // Node itself gives up when close(2) fails; then only the store matters.
  if (stderr.includes('uv_fs_close')) return;
  assert.doesNotMatch(stderr, /internal error|^\s+at .*:\d+:\d+\)?$/m, `not our error: ${context}`);
  // SQLite keeps to itself what fsync or its shared memory met; on a disk that is really full we look ourselves.
  const sqlite = injected.filter((line) => /cellar\.db(-wal|-shm|-journal)?[>"]/.test(line));
  // Where a call of another thread failed too, the error may be about that one.
  const insideSqlite = sqlite.length === injected.length || /cellar\.db/.test(stderr);
  if (code === 1 && sqlite.length > 0 && insideSqlite) assert.match(stderr, /cellar\.db/, context);
  else if (error === 'ENOSPC' || error === 'EDQUOT') {
    assert.equal(code, 13, context);
    assert.match(stderr, error === 'ENOSPC' ? /no space left on \S+/ : /quota exceeded on \S+/, context);
  } else {
    assert.ok(code === 1 || code === 12 || code === 10, context);
    if (error === 'EMFILE') assert.match(stderr, /too many open files/, context);
  }
}

async function digestOfNext(rig: Rig): Promise<string> {
  using scratch = makeScratch('next');
  const store = join(scratch.path, 'store');
  await cellarOk(['import', rig.nextTar, 'new'], { store });
  return await exportDigest('new', store);
}

async function makeGarbage(rig: Rig, ...stores: readonly string[]): Promise<void> {
  for (const store of stores) {
    await cellarOk(['import', rig.nextTar, 'new'], { store });
    assert.equal((await cellar(['rm', 'new'], { store })).code, 0);
  }
}

/** Objects carry metadata that counts. */
async function copyStore(from: string, to: string): Promise<void> {
  await sh(`cp -a -- ${quote(from)} ${quote(to)}`);
}

class Tally {
  readonly #counts = new Map<string, { failed: number; harmless: number }>();

  add(call: string, harmless: boolean): void {
    const counts = this.#counts.get(call) ?? { failed: 0, harmless: 0 };
    counts[harmless ? 'harmless' : 'failed']++;
    this.#counts.set(call, counts);
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, { failed, harmless }) => sum + failed + harmless, 0);
  }

  summary(): string {
    const harmless = [...this.#counts].filter(([, counts]) => counts.harmless > 0);
    return `${this.total} faults; without effect: ${harmless.map(([call, counts]) => `${call} ${counts.harmless}`).join(', ')};`;
  }
}
