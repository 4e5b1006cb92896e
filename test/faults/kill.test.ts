/**
 * `kill -9` at random points of import, commit, gc, checkout and release while others read: afterwards the store is clean,
 * old references read as before, and the next command leaves nothing in tmp/.
 */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cellar, cellarOk } from '../support/cellar.ts';
import { needs, portion, soak, privileged } from '../support/run.ts';
import { remove, mountsBelow } from '../support/scratch.ts';
import {
  assertClean,
  ended,
  exportDigest,
  killGroup,
  loopsBelow,
  makeRig,
  sleep,
  startCellar,
  type Rig,
} from './rig.ts';
import { generator } from '../support/random.ts';
import { plainMethods } from '../support/checkouts.ts';

const rounds = portion(500, 8);
const random = generator(Number(process.env['CELLAR_SEED'] ?? 42));
const skip = needs({ programs: ['tar'] });

interface Operation {
  readonly name: string;
  /** Untimed; resolves to the arguments of the command that is killed. */
  readonly prepare: (rig: Rig, round: number) => Promise<readonly string[]>;
}

const methods = [...plainMethods, ...(privileged ? ['composefs', 'auto'] : [])];

const operations: readonly Operation[] = [
  { name: 'import tar', prepare: ({ nextTar }) => Promise.resolve(['import', anotherTime(nextTar), 'new']) },
  { name: 'import directory', prepare: ({ next }) => Promise.resolve(['import', next.root, 'new']) },
  {
    name: 'first import',
    prepare: async ({ store, nextTar }) => {
      await cellar(['rm', 'new'], { store });
      await cellarOk(['gc', '--grace', '0'], { store });
      return ['import', anotherTime(nextTar), 'new'];
    },
  },
  {
    name: 'commit',
    prepare: async ({ store, path }, round) => {
      const directory = join(path, `work-${round}`);
      await cellarOk(['checkout', '--writable', '--method', privileged ? 'auto' : 'copy', 'old', directory], {
        store,
      });
      writeFileSync(join(directory, 'changed'), `round ${round}\n`);
      chmodSync(join(directory, 'odd/empty'), 0o600);
      return ['commit', directory, 'committed'];
    },
  },
  {
    name: 'gc',
    prepare: async ({ store, nextTar }) => {
      await cellarOk(['import', anotherTime(nextTar), 'doomed'], { store });
      await cellarOk(['rm', 'doomed'], { store });
      await cellar(['rm', 'new'], { store });
      return ['gc', '--grace', '0'];
    },
  },
  {
    name: 'checkout',
    prepare: ({ path }, round) => Promise.resolve(anyCheckout(join(path, `work-${round}`))),
  },
  {
    name: 'release',
    prepare: async ({ store, path }, round) => {
      const directory = join(path, `work-${round}`);
      await cellarOk(anyCheckout(directory), { store });
      return ['release', directory];
    },
  },
];

function anyCheckout(directory: string): string[] {
  const method = methods[Math.floor(random() * methods.length)] as string;
  const writable = method !== 'hardlink' && random() < 0.5 ? ['--writable'] : [];
  return ['checkout', ...writable, '--method', method, 'old', directory];
}

/** An archive that has not changed since it was imported would not be read again. */
function anotherTime(archive: string): string {
  const now = new Date();
  utimesSync(archive, now, now);
  return archive;
}

test(`${rounds} kills`, { skip }, async (context) => {
  using rig = await makeRig({ files: soak ? 600 : 250, seed: 21 });
  const { store } = rig;
  const durations = new Map<string, number>();
  let killed = 0;
  for (let round = 0; round < rounds; round++) {
    const operation = operations[round % operations.length] as Operation;
    const args = await operation.prepare(rig, round);
    const readers = new AbortController();
    const reading = [read(rig, readers.signal)];
    const started = performance.now();
    const child = startCellar(args, store);
    const longest = durations.get(operation.name);
    // The first round of each runs to its end, to learn how long it takes.
    if (longest !== undefined) {
      await Promise.race([sleep(random() * longest), ended(child)]);
      killGroup(child);
    }
    const code = await ended(child);
    if (longest === undefined) assert.equal(code, 0, `${args.join(' ')}: exit ${code}`);
    durations.set(operation.name, longest ?? performance.now() - started);
    killed += code === null ? 1 : 0;
    readers.abort();
    await Promise.all(reading);
    const what = `round ${round}, ${args.join(' ')} ${code === null ? 'killed' : 'done'}`;
    await assertClean(store, what);
    if (round % 4 === 0) assert.equal(await exportDigest('old', store), rig.exported, what);
    await tidy(rig, round, what);
  }
  context.diagnostic(`${killed} of ${rounds} were killed before their end`);
  assert.equal(await exportDigest('other', store), rig.exported);
  assert.deepEqual(mountsBelow(rig.path), []);
  assert.deepEqual(loopsBelow(rig.path), []);
});

/** Whatever a checkout left can be released, or is not there; nothing stays mounted in the checkout's place. */
async function tidy({ store, path }: Rig, round: number, what: string): Promise<void> {
  const directory = join(path, `work-${round}`);
  const listed = JSON.stringify(await cellarOk(['checkouts'], { store }));
  if (listed.includes(directory)) await cellarOk(['release', '--force', directory], { store });
  assert.deepEqual(
    mountsBelow(path).filter((mount) => mount.startsWith(directory)),
    [],
    `${what}: still mounted`,
  );
  assert.ok(!existsSync(directory), `${what}: the directory is still there`);
  remove(directory);
  await cellarOk(['gc', '--grace', '0'], { store });
}

/** Reads the old reference in every way until told to stop. */
async function read({ store, exported }: Rig, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const listed = await cellar(['ls'], { store });
    assert.equal(listed.code, 0, listed.stderr);
    const shown = await cellar(['cat', 'old', '/odd/links/b-first'], { store });
    assert.equal(shown.stdout, 'linked content', shown.stderr);
    assert.equal((await cellar(['files', 'old', '/odd'], { store })).code, 0);
    assert.equal(await exportDigest('old', store), exported);
  }
}
