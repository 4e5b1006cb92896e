/**
 * Upgrades under kill -9: the instance stands on the old base or on the new one, with its own changes in either case;
 * the next command finishes, cleans and runs what is owed.
 */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cellarOk } from '../support/cellar.ts';
import { portion, privileged } from '../support/run.ts';
import { ended, killGroup, sleep, startCellar } from './rig.ts';
import { assertTidy, makeSite, siteFiles } from './site.ts';
import { assertCleanWithin } from './within.ts';
import { generator } from '../support/random.ts';

const rounds = portion(300, 4);
const random = generator(Number(process.env['CELLAR_SEED'] ?? 11));

test(`${rounds} kills of upgrade`, async (context) => {
  using site = await makeSite();
  const { store, target, place, path, handler } = site;
  const writable = privileged ? ['--writable'] : ['--writable', '--method', 'copy'];
  await cellarOk(['deploy', 'app:1', target, ...writable, ...handler], { store });
  writeFileSync(join(place, 'own'), 'mine');
  let [longest, killed] = [0, 0];
  for (let round = 0; round < rounds; round++) {
    const reference = site.content() === '1' ? 'app:2' : 'app:1';
    const started = performance.now();
    const child = startCellar(['upgrade', target, reference], store);
    if (round > 0) {
      await Promise.race([sleep(random() * longest), ended(child)]);
      killGroup(child);
    }
    const code = await ended(child);
    if (code === null) killed++;
    else longest = Math.max(longest, performance.now() - started);
    const what = `round ${round}, ${reference} ${code === null ? 'killed' : 'done'}`;
    const seen = site.content();
    assert.match(seen, /^[12]$/, what);
    for (const name of siteFiles) assert.equal(readFileSync(join(place, name), 'utf8'), seen, what);
    assert.equal(readFileSync(join(place, 'own'), 'utf8'), 'mine', what);
    // To where it is or to where it was going: whatever the crash left has to do for both.
    const wanted = round % 3 === 0 ? `app:${seen}` : reference;
    const next = await cellarOk(['upgrade', target, wanted], { store });
    assert.equal(next['change'], wanted === `app:${seen}` ? 'unchanged' : 'upgraded', what);
    if (next['change'] === 'upgraded') assert.equal(next['kept'], 1, what);
    assert.equal(site.content(), wanted.slice(-1), what);
    assert.equal(readFileSync(join(place, 'own'), 'utf8'), 'mine', what);
    const handled = site.handled();
    for (const { version, told, found } of handled)
      assert.equal(told, `app:${found}`, `${what}: the handler for version ${version} found another`);
    assert.equal(handled.at(-1)?.version, next['version'], `${what}: the handler ran for what is in service`);
    const again = await cellarOk(['upgrade', target, wanted], { store });
    assert.equal(again['change'], 'unchanged', what);
    assert.equal(site.handled().length, handled.length, `${what}: the handler ran again`);
    await assertTidy(site, 3, what);
    await assertCleanWithin(store, what);
  }
  context.diagnostic(`${killed} of ${rounds} were killed before their end`);
  await cellarOk(['undeploy', target], { store });
  assert.deepEqual(readdirSync(join(path, 'srv')), []);
});
