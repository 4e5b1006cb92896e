/** kill -9 at random points of deployments and rollbacks of a system on btrfs: the old default or the new, and no leftovers. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cellarOk } from '../support/cellar.ts';
import { scratchFilesystem } from '../support/filesystem.ts';
import { needs, portion } from '../support/run.ts';
import { makeScratch } from '../support/scratch.ts';
import { assertClean, ended, killGroup, sleep, startCellar } from './rig.ts';
import { generator } from '../support/random.ts';

const rounds = portion(200, 6);
const random = generator(Number(process.env['CELLAR_SEED'] ?? 11));
const skip = needs({ root: true, programs: ['btrfs', 'mkfs.btrfs'] });

test(`${rounds} kills of deploy and rollback of a system`, { skip }, async (context) => {
  using scratch = makeScratch('system-kill');
  using filesystem = scratchFilesystem('btrfs', 400);
  const { path } = filesystem;
  const store = join(path, 'store');
  for (const version of ['1', '2']) {
    const tree = join(scratch.path, version);
    for (const directory of ['etc', 'usr', 'home']) mkdirSync(join(tree, directory), { recursive: true });
    for (const name of ['etc/version', 'usr/version']) writeFileSync(join(tree, name), version);
    for (let file = 0; file < 50; file++) writeFileSync(join(tree, `usr/${file}`), `${file}`);
    await cellarOk(['import', tree, `sys:${version}`], { store });
  }
  const target = `system:${path}`;
  const systems = join(path, 'systems');
  const log = join(scratch.path, 'log');
  const options = ['--keep', '1', '--set', 'state=home', '--set', 'set-default=yes'];
  const handler = ['--on-change', `echo $CELLAR_VERSION >>${log}`];
  await cellarOk(['deploy', 'sys:1', target, ...options, ...handler], { store });
  let [longest, killed] = [500, 0];
  for (let round = 0; round < rounds; round++) {
    const seenBefore = readFileSync(join(systems, 'default/run/usr/version'), 'utf8');
    const next = `sys:${seenBefore === '1' ? '2' : '1'}`;
    const label = ['--set', `label=round-${round}`];
    const args =
      round % 3 === 2 ? ['rollback', target] : ['deploy', next, target, ...options, ...label, ...handler];
    const started = performance.now();
    const child = startCellar(args, store);
    if (round > 0) {
      await Promise.race([sleep(random() * longest), ended(child)]);
      killGroup(child);
    }
    if ((await ended(child)) === null) killed++;
    else longest = Math.max(longest, performance.now() - started);
    const where = `round ${round}, ${args.join(' ')}`;
    const seen = readFileSync(join(systems, 'default/run/usr/version'), 'utf8');
    assert.match(seen, /^[12]$/, where);
    assert.equal(readFileSync(join(systems, 'default/orig/etc/version'), 'utf8'), seen, where);
    // The next command finds what is there, cleans, and runs what is owed.
    const settled = await cellarOk(['deploy', `sys:${seen}`, target, ...options, ...handler], { store });
    const handled = readFileSync(log, 'utf8').trim().split('\n').at(-1);
    assert.equal(handled, String(settled['version']), `${where}: the handler ran for what is active`);
    const labels = readdirSync(systems).filter((name) => name !== 'default');
    assert.ok(labels.includes(readlinkSync(join(systems, 'default'))), where);
    assert.ok(labels.includes('factory') && labels.length <= 3, `${where}: ${labels.join(' ')}`);
    assert.deepEqual(readdirSync(join(path, '.systems.cellar')), ['original-subvolume'], where);
    assert.deepEqual(subvolumes(path), expected(labels), where);
    assert.equal(bootsFrom(path), `systems/${readlinkSync(join(systems, 'default'))}/run`, where);
    await assertClean(store, where);
  }
  context.diagnostic(`${killed} of ${rounds} were killed before their end`);
  await cellarOk(['undeploy', target], { store });
  assert.deepEqual(readdirSync(path).sort(), ['state', 'store']);
  assert.deepEqual(subvolumes(path), ['state/home']);
});

function subvolumes(path: string): string[] {
  const listed = spawnSync('btrfs', ['subvolume', 'list', path], { encoding: 'utf8' }).stdout;
  return [...listed.matchAll(/ path (\S+)$/gm)]
    .map(([, name = '']) => name)
    .filter((name) => !name.startsWith('store/'))
    .sort();
}

function expected(labels: readonly string[]): string[] {
  return [
    'state/home',
    ...labels.flatMap((label) => [`systems/${label}/orig`, `systems/${label}/run`]),
  ].sort();
}

function bootsFrom(path: string): string | undefined {
  const { stdout } = spawnSync('btrfs', ['subvolume', 'get-default', path], { encoding: 'utf8' });
  return / path (\S+)/.exec(stdout)?.[1];
}
