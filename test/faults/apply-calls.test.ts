/**
 * Calls failing once in `apply`, whose downloads and deployments share a connection to the database. Whatever failed,
 * each place holds its old version or the new one, and applying once more brings the new one and runs what is owed.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cellarOk } from '../support/cellar.ts';
import { needs, portion, quote, sh, soak } from '../support/run.ts';
import { makeScratch } from '../support/scratch.ts';
import { faultsAt, learn, runWithFault, type Fault } from './inject.ts';
import { assertCleanWithin } from './within.ts';

const skip = needs({ root: true, programs: ['strace', 'tar'] });
const names = ['one', 'two'];
const files = ['a', 'deep/b'];

test(
  'calls failing once in apply: old or new, and the next one brings the new',
  { skip },
  async (context) => {
    using scratch = makeScratch('apply');
    const site = join(scratch.path, 'site');
    const prepared = join(scratch.path, 'prepared');
    await prepare(site);
    await sh(`cp -a -- ${quote(site)} ${quote(prepared)}`);
    const all = faultsAt(await learn(apply(site), join(site, 'store'), site));
    const deadline = performance.now() + (soak ? Infinity : 4000);
    const tally = { failed: 0, harmless: 0 };
    for (const fault of all.slice(0, portion(all.length, all.length))) {
      if (performance.now() > deadline) break;
      // At the same path, which deployments remember.
      rmSync(site, { recursive: true });
      await sh(`cp -a -- ${quote(prepared)} ${quote(site)}`);
      const code = await tryFault(site, fault);
      if (code !== undefined) tally[code === 0 ? 'harmless' : 'failed']++;
    }
    assert.ok(tally.failed > 0, 'no fault was met');
    context.diagnostic(
      `${tally.failed + tally.harmless} faults, ${tally.harmless} without effect; of ${all.length} places`,
    );
  },
);

test('a switch that cannot be brought to the disk is undone, and takes nothing away', { skip }, async () => {
  using scratch = makeScratch('apply');
  const site = join(scratch.path, 'site');
  await prepare(site);
  const served = join(site, 'srv');
  assert.equal(await tryFault(site, { call: 'fsync', error: 'EIO', when: 1, path: served }, 'one'), 3);
});

/** `old` has to be in service as it was. @returns the exit code, when the fault hit anything */
async function tryFault(site: string, fault: Fault, old?: string): Promise<number | null | undefined> {
  const store = join(site, 'store');
  const { code, stderr, injected } = await runWithFault(apply(site), store, fault);
  if (injected.length === 0) return undefined;
  const context = `${fault.call} #${fault.when} ${fault.error}\n  ${injected.join('\n  ')}\n  exit ${code}: ${stderr}`;
  // Outside of the site it may be the program's own code that could not be read.
  if (code !== 0 && injected.every((line) => line.includes(site)) && !stderr.includes('uv_fs_close')) {
    assert.notEqual(code, null, `it hung: ${context}`);
    assert.doesNotMatch(stderr, /internal error|^\s+at .*:\d+:\d+\)?$/m, `not our error: ${context}`);
  }
  for (const name of names) {
    const found = files.map((file) => readIfThere(join(site, 'srv', name, file)));
    assert.ok(['1,1', '2,2'].includes(String(found)), `${name} holds ${String(found)}: ${context}`);
    if (code === 0) assert.equal(found[0], '2', context);
    if (name === old) assert.equal(found[0], '1', context);
  }
  await cellarOk(apply(site), { store });
  for (const name of names) {
    assert.equal(readFileSync(join(site, 'srv', name, 'deep/b'), 'utf8'), '2', context);
    assert.match(readFileSync(join(site, 'log'), 'utf8'), new RegExp(`^${name} 2$`, 'm'), context);
  }
  await assertCleanWithin(store, context);
  return code;
}

function readIfThere(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : 'nothing';
}

function apply(site: string): string[] {
  return ['apply', '--config', join(site, 'cellar.yaml')];
}

/** Two deployments at version 1, whose sources offer version 2. */
async function prepare(site: string): Promise<void> {
  mkdirSync(join(site, 'srv'), { recursive: true });
  const log = join(site, 'log');
  const deployments = names.map((name) => [name, { image: name, target: `dir:${join(site, 'srv', name)}` }]);
  const images = names.map((name) => [name, { source: join(site, `${name}.tar`), refresh: 'always' }]);
  const config = {
    images: Object.fromEntries(images) as unknown,
    'deploy-defaults': {
      method: 'copy',
      // The calls of a handler fail, too, and then so does the handler.
      'on-change': `name=$(basename "$CELLAR_PATH") && found=$(cat "$CELLAR_PATH/a") && echo "$name $found" >>${quote(log)}`,
    },
    deployments: Object.fromEntries(deployments) as unknown,
  };
  writeFileSync(join(site, 'cellar.yaml'), JSON.stringify(config));
  await packSources(site, '1');
  await cellarOk(apply(site), { store: join(site, 'store') });
  rmSync(log);
  await packSources(site, '2');
}

async function packSources(site: string, version: string): Promise<void> {
  for (const name of names) {
    const tree = join(site, 'tree');
    mkdirSync(join(tree, 'deep'), { recursive: true });
    for (const file of files) writeFileSync(join(tree, file), version);
    writeFileSync(join(tree, 'name'), name);
    await sh(`tar -C ${quote(tree)} -cf ${quote(join(site, `${name}.tar`))} .`);
    rmSync(tree, { recursive: true });
  }
}
