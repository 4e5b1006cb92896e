/**
 * Deployments under kill -9: whatever point a process was killed at, the old version or the new one is in service, the
 * next command takes away what is left, and handlers have then run for what is in service, and ever only for that.
 */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cellar, cellarOk } from '../support/cellar.ts';
import { portion } from '../support/run.ts';
import { mountsBelow } from '../support/scratch.ts';
import { ended, killGroup, sleep, startCellar } from './rig.ts';
import { assertTidy, makeSite, siteFiles, type Site } from './site.ts';
import { assertCleanWithin } from './within.ts';
import { generator } from '../support/random.ts';

const seed = Number(process.env['CELLAR_SEED'] ?? 7);

/** In turn: a new version, one that its check refuses, so that the old one is put back, and a rollback. */
const operations: readonly ((site: Site, reference: string) => readonly string[])[] = [
  ({ target, handler }, reference) => ['deploy', reference, target, ...handler],
  ({ target, handler }, reference) => ['deploy', reference, target, ...handler, '--check', 'false'],
  ({ target }) => ['rollback', target],
];

const kills = [
  { kind: 'dir', method: 'auto', rounds: portion(300, 7) },
  { kind: 'dir', method: 'copy', rounds: portion(150, 0) },
  { kind: 'file', method: 'auto', rounds: portion(150, 5) },
] as const;

for (const { kind, method, rounds } of kills) {
  const how = kind === 'dir' ? `dir: (${method})` : 'file:';
  const skip = rounds === 0 && 'only in the soak run';
  test(`${rounds} kills of deploy and rollback, ${how}`, { skip }, async (context) => {
    const random = generator(seed);
    using site = await makeSite(kind);
    const { store, target, path } = site;
    const options = [...site.handler, ...(kind === 'dir' ? ['--method', method] : [])];
    const quiet = { ...site, handler: options };
    await cellarOk(['deploy', 'app:1', target, ...options], { store });
    await cellarOk(['deploy', 'app:2', target, ...options], { store });
    const longest = [0, 0, 0];
    let killed = 0;
    for (let round = 0; round < rounds; round++) {
      const turn = round % operations.length;
      const reference = site.content() === '1' ? 'app:2' : 'app:1';
      const args = operations[turn]?.(quiet, reference) ?? [];
      const started = performance.now();
      const child = startCellar(args, store);
      // The first of each runs to its end, to learn how long it takes.
      if (round >= operations.length) {
        await Promise.race([sleep(random() * (longest[turn] as number)), ended(child)]);
        killGroup(child);
      }
      const code = await ended(child);
      if (code === null) killed++;
      else longest[turn] = Math.max(longest[turn] as number, performance.now() - started);
      const what = `round ${round}, ${args.join(' ')} ${code === null ? 'killed' : 'done'}`;
      await checkAfter(quiet, args.includes('--check'), what);
    }
    context.diagnostic(`${killed} of ${rounds} were killed before their end`);
    await cellarOk(['undeploy', target], { store });
    assert.deepEqual(readdirSync(join(path, 'srv')), []);
    assert.deepEqual(
      mountsBelow(path).filter((mount) => !mount.startsWith(store)),
      [],
    );
  });
}

/**
 * The next command finds what is there, cleans, and runs what is owed; the one after it has nothing left to do. A check
 * that the crash kept from refusing the version in service may refuse it then; nothing else may go wrong.
 */
async function checkAfter(site: Site, mayRefuse: boolean, what: string): Promise<void> {
  const { store, target, kind, place, handler } = site;
  const seen = site.content();
  assert.match(seen, /^[12]$/, `${what}: the path names a version`);
  if (kind === 'dir')
    for (const name of siteFiles) assert.equal(readFileSync(join(place, name), 'utf8'), seen, what);
  const next = await cellar(['--json', 'deploy', `app:${seen}`, target, ...handler], { store });
  const refused = mayRefuse && next.stderr.includes('E_DEPLOY_HANDLER');
  assert.ok(refused || next.result?.['change'] === 'unchanged', `${what}: ${next.stderr}${next.stdout}`);
  const kept = site.content();
  assert.equal(kept === seen, !refused, `${what}: what was refused is put back, and only that`);
  const handled = site.handled();
  for (const { version, told, found } of handled)
    assert.equal(told, `app:${found}`, `${what}: the handler for version ${version} found another`);
  const again = await cellarOk(['deploy', `app:${kept}`, target, ...handler], { store });
  assert.equal(again['change'], 'unchanged', what);
  assert.equal(again['version'], handled.at(-1)?.version, `${what}: the handler ran for what is in service`);
  assert.equal(site.handled().length, handled.length, `${what}: the handler ran again`);
  await assertTidy(site, 3, what);
  await assertCleanWithin(store, what);
}
