/**
 * Readers of a directory whose version is switched again and again: a path never misses, and what is read through one
 * open directory is of one version.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { ignoreEvents } from '../../src/core/events.ts';
import { rollback } from '../../src/ops/rollback.ts';
import { cellarOk } from '../support/cellar.ts';
import { portion, privileged } from '../support/run.ts';
import { assertClean, ended, sleep } from './rig.ts';
import { assertTidy, makeSite, siteFiles } from './site.ts';

const switches = portion(1000, 30);

/** Reads every file by path and through one open directory until told to stop; prints what it found wrong. */
const reader = `
const fs = require('node:fs');
const [path, ...names] = process.argv.slice(1);
const versions = new Set();
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
    const [version] = seen;
    if (!versions.has(version)) console.log('version ' + version);
    versions.add(version);
    rounds++;
  }
}, 0);`;

for (const method of privileged ? ['auto', 'copy'] : ['copy']) {
  test(`${switches} switches under readers, ${method}`, async (context) => {
    using site = await makeSite();
    const { store, target, place } = site;
    for (const version of ['1', '2'])
      await cellarOk(['deploy', `app:${version}`, target, '--method', method], { store });
    const child = spawn(process.execPath, ['-e', reader, place, ...siteFiles], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    const operation = { storeRoot: store, events: ignoreEvents, signal: new AbortController().signal };
    let turn = 0;
    // However slow the reader is, it has to have met both versions.
    for (; turn < switches || (!sawBoth(said) && child.exitCode === null); turn++) {
      await rollback(operation, { target, version: turn % 2 === 0 ? 1 : 2 });
      await sleep(1); // what the reader says comes in
    }
    child.kill('SIGTERM');
    await ended(child);
    assert.match(said, /^version [12]\nversion [12]\nrounds [1-9][0-9]*\n$/);
    context.diagnostic(`${turn} switches; the reader: ${said.trim().split('\n').at(-1)}`);
    await assertTidy(site, 2, 'after the switches');
    await cellarOk(['undeploy', target], { store });
    await assertTidy(site, 0, 'after undeploy');
    await assertClean(store, 'after the switches');
  });
}

function sawBoth(said: string): boolean {
  return said.includes('version 1\n') && said.includes('version 2\n');
}
