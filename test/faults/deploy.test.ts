/**
 * Deployments under readers and under kill -9: a path never misses and never mixes, and whatever point a process was
 * killed at, the old version or the new one is in service and its handlers have run for what is.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, readlinkSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ignoreEvents } from '../../src/core/events.ts';
import { rollback } from '../../src/ops/rollback.ts';
import { cellar, cellarOk } from '../support/cellar.ts';
import { portion } from '../support/run.ts';
import { makeScratch, type Scratch, mountsBelow } from '../support/scratch.ts';
import { generator } from '../support/tree.ts';
import { assertClean, ended, killGroup, sleep, startCellar } from './rig.ts';

const switches = portion(1000, 60);
const rounds = portion(300, 9);
const upgrades = portion(200, 4);
const random = generator(Number(process.env['CELLAR_SEED'] ?? 7));

interface Site extends Disposable {
  readonly path: string;
  readonly store: string;
  /** Where versions are put in service. */
  readonly place: string;
  readonly target: string;
}

/** A store with `app:1` and `app:2`: each file of a version holds its number. */
async function makeSite(): Promise<Site> {
  const scratch: Scratch = makeScratch('deploy');
  const store = join(scratch.path, 'store');
  for (const version of ['1', '2']) {
    const tree = join(scratch.path, `tree-${version}`);
    mkdirSync(join(tree, 'deep/er'), { recursive: true });
    for (const name of ['a', 'b', 'deep/c', 'deep/er/d']) writeFileSync(join(tree, name), version);
    await cellarOk(['import', tree, `app:${version}`], { store });
  }
  const place = join(scratch.path, 'srv/app');
  mkdirSync(join(scratch.path, 'srv'));
  return {
    path: scratch.path,
    store,
    place,
    target: `dir:${place}`,
    [Symbol.dispose]: () => scratch[Symbol.dispose](),
  };
}

/** Reads every file by path and through one open directory until told to stop; prints what it found wrong. */
const reader = `
const fs = require('node:fs');
const [path] = process.argv.slice(1);
const names = ['a', 'b', 'deep/c', 'deep/er/d'];
let rounds = 0;
process.on('SIGTERM', () => { console.log('rounds ' + rounds); process.exit(0); });
setInterval(() => {
  for (let turn = 0; turn < 50; turn++) {
    for (const name of names) {
      try { if (!/^[12]$/.test(fs.readFileSync(path + '/' + name, 'utf8'))) console.log('torn ' + name); }
      catch (error) { console.log('missing ' + error.message); }
    }
    const fd = fs.openSync(path, fs.constants.O_DIRECTORY);
    const seen = new Set(names.map((name) => fs.readFileSync('/proc/self/fd/' + fd + '/' + name, 'utf8')));
    fs.closeSync(fd);
    if (seen.size !== 1) console.log('mixed ' + [...seen]);
    rounds++;
  }
}, 0);`;

test(`${switches} switches under readers`, async () => {
  using site = await makeSite();
  const { store, target, place } = site;
  await cellarOk(['deploy', 'app:1', target, '--method', 'copy'], { store });
  await cellarOk(['deploy', 'app:2', target, '--method', 'copy'], { store });
  const child = spawn(process.execPath, ['-e', reader, place], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  await sleep(300);
  const context = { storeRoot: store, events: ignoreEvents, signal: new AbortController().signal };
  for (let turn = 0; turn < switches; turn++)
    await rollback(context, { target, version: turn % 2 === 0 ? 1 : 2 });
  child.kill('SIGTERM');
  await ended(child);
  assert.match(said, /^rounds [1-9][0-9]*\n$/);
  await cellarOk(['undeploy', target], { store });
  await assertClean(store, 'after the switches');
});

test(`${rounds} kills of deploy and rollback`, async (context) => {
  using site = await makeSite();
  const { store, target, place, path } = site;
  const log = join(path, 'log');
  const handler = ['--on-change', `echo $CELLAR_VERSION >>${log}`];
  await cellarOk(['deploy', 'app:1', target, ...handler], { store });
  let [longest, killed] = [400, 0];
  for (let round = 0; round < rounds; round++) {
    const reference = round % 2 === 0 ? 'app:2' : 'app:1';
    const args = round % 3 === 2 ? ['rollback', target] : ['deploy', reference, target, ...handler];
    const started = performance.now();
    const child = startCellar(args, store);
    if (round > 1) {
      await Promise.race([sleep(random() * longest), ended(child)]);
      killGroup(child);
    }
    const code = await ended(child);
    if (code === null) killed++;
    else longest = Math.max(longest, performance.now() - started);
    const seen = readFileSync(join(place, 'a'), 'utf8');
    assert.match(seen, /^[12]$/, `round ${round}: the path names a version`);
    // The next command finds what is there, cleans, and runs what is owed.
    const next = await cellarOk(['deploy', `app:${seen}`, target, ...handler], { store });
    const where = `round ${round}, ${args.join(' ')}`;
    assert.equal(readFileSync(join(place, 'deep/er/d'), 'utf8'), seen, where);
    const handled = readFileSync(log, 'utf8').trim().split('\n').at(-1);
    assert.equal(handled, String(next['version']), `${where}: the handler ran for what is active`);
    const id = readlinkSync(place).split('/').at(-1);
    const kept = readdirSync(join(path, 'srv/.app.cellar')).filter((name) => /^\d+-[0-9a-f]{8}$/.test(name));
    assert.ok(kept.length <= 3 && kept.includes(String(id)), `${where}: ${kept.join(' ')}`);
    await assertClean(store, where);
  }
  context.diagnostic(`${killed} of ${rounds} were killed before their end`);
  const gone = await cellar(['undeploy', target], { store });
  assert.equal(gone.code, 0, gone.stderr);
  assert.deepEqual(readdirSync(join(path, 'srv')), []);
  assert.deepEqual(
    mountsBelow(path).filter((mount) => !mount.startsWith(store)),
    [],
  );
});

test(`${upgrades} kills of upgrade`, async (context) => {
  using site = await makeSite();
  const { store, target, place, path } = site;
  const log = join(path, 'log');
  const writable = process.geteuid?.() === 0 ? ['--writable'] : ['--writable', '--method', 'copy'];
  await cellarOk(['deploy', 'app:1', target, ...writable, '--on-change', `echo $CELLAR_VERSION >>${log}`], {
    store,
  });
  writeFileSync(join(place, 'own'), 'mine');
  let [longest, killed] = [400, 0];
  for (let round = 0; round < upgrades; round++) {
    const reference = round % 2 === 0 ? 'app:2' : 'app:1';
    const started = performance.now();
    const child = startCellar(['upgrade', target, reference], store);
    if (round > 0) {
      await Promise.race([sleep(random() * longest), ended(child)]);
      killGroup(child);
    }
    const code = await ended(child);
    if (code === null) killed++;
    else longest = Math.max(longest, performance.now() - started);
    const where = `round ${round}, ${reference}`;
    const seen = readFileSync(join(place, 'a'), 'utf8');
    assert.match(seen, /^[12]$/, where);
    assert.equal(readFileSync(join(place, 'deep/er/d'), 'utf8'), seen, where);
    assert.equal(readFileSync(join(place, 'own'), 'utf8'), 'mine', where);
    // The next one finds what is there, cleans, and runs what is owed; then the change is still known as its own.
    const next = await cellarOk(['upgrade', target, reference], { store });
    assert.equal(readFileSync(join(place, 'a'), 'utf8'), reference.slice(-1), where);
    assert.equal(readFileSync(join(place, 'own'), 'utf8'), 'mine', where);
    assert.equal(readFileSync(log, 'utf8').trim().split('\n').at(-1), String(next['version']), where);
    if (next['change'] === 'upgraded') assert.equal(next['kept'], 1, where);
    await assertClean(store, where);
  }
  context.diagnostic(`${killed} of ${upgrades} were killed before their end`);
  const gone = await cellar(['undeploy', target], { store });
  assert.equal(gone.code, 0, gone.stderr);
  assert.deepEqual(readdirSync(join(path, 'srv')), []);
});
