/**
 * Several processes at once on one store: imports of the same and of different images, checkouts, gc in a loop and
 * readers. Nobody fails, and afterwards every reference is complete.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cellar, cellarOk } from '../support/cellar.ts';
import { needs, portion, privileged } from '../support/run.ts';
import { remove, mountsBelow } from '../support/scratch.ts';
import { assertClean, exportDigest, makeRig } from './rig.ts';
import { plainMethods } from '../support/checkouts.ts';

const seconds = portion(300, 10);

test(`everything at once for ${seconds} s`, { skip: needs({ programs: ['tar'] }) }, async (context) => {
  using rig = await makeRig({ files: 150, seed: 71 });
  const { store, path } = rig;
  await cellarOk(['import', rig.nextTar, 'next'], { store });
  const next = await exportDigest('next', store);
  const deadline = performance.now() + seconds * 1000;
  const counts: Record<string, number> = {};
  const loop = async (name: string, act: (round: number) => Promise<void>): Promise<void> => {
    for (let round = 0; performance.now() < deadline; round++) {
      await act(round);
      counts[name] = (counts[name] ?? 0) + 1;
    }
  };
  const ok = async (...args: readonly string[]): Promise<void> => {
    const done = await cellar(args, { store });
    assert.equal(done.code, 0, `cellar ${args.join(' ')}: exit ${done.code ?? done.signal}: ${done.stderr}`);
  };
  // From standard input: an archive that has not changed since it was imported is not read again.
  const archive = readFileSync(rig.nextTar);
  const importPiped = async (reference: string): Promise<void> => {
    const done = await cellar(['import', '-', reference], { store, input: archive });
    assert.equal(done.code, 0, `import - ${reference}: exit ${done.code ?? done.signal}: ${done.stderr}`);
  };
  const methods = [...(privileged ? ['auto'] : []), ...plainMethods];
  await Promise.all([
    loop('import of the same', () => importPiped('same')),
    loop('import of the same, beside it', () => ok('import', rig.next.root, 'same')),
    loop('import, then rm', async () => {
      await importPiped('passing');
      await ok('rm', 'passing');
    }),
    loop('import of one more', async (round) => {
      await ok('import', '--exclude', `/dir-${(round % 10) * 8}`, rig.oldTar, `less-${round % 10}`);
      if (round % 10 > 0) await ok('rm', `less-${round % 10}`);
    }),
    loop('checkout', async (round) => {
      const directory = join(path, `checkout-${round}`);
      await ok('checkout', '--method', methods[round % methods.length] as string, 'old', directory);
      await ok('release', directory);
      remove(directory);
    }),
    loop('gc', () => ok('gc', '--grace', '0')),
    loop('export', async () => assert.equal(await exportDigest('old', store), rig.exported)),
    loop('readers', async () => {
      await ok('ls');
      const shown = await cellar(['cat', 'other', '/odd/links/b-first'], { store });
      assert.equal(shown.stdout, 'linked content', shown.stderr);
    }),
  ]);
  context.diagnostic(
    Object.entries(counts)
      .map(([name, count]) => `${name}: ${count}`)
      .join(', '),
  );
  await ok('gc', '--grace', '0');
  await assertClean(store, 'afterwards');
  assert.equal(await exportDigest('old', store), rig.exported);
  assert.equal(await exportDigest('same', store), next);
  assert.deepEqual(
    mountsBelow(path).filter((mount) => mount.includes('checkout-')),
    [],
  );
});
