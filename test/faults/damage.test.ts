/**
 * One flipped bit anywhere in a store is found by fsck and named with the images it affects; and export, cat and
 * checkout refuse (exit 12) or give the right bytes, never wrong ones.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, openSync, readdirSync, readSync, statSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cellar, cellarOk } from '../support/cellar.ts';
import { compareTrees } from '../support/compare.ts';
import { needs, portion, soak, privileged } from '../support/run.ts';
import { remove } from '../support/scratch.ts';
import { assertClean, exportDigest, makeRig, type Rig } from './rig.ts';
import { generator } from '../support/random.ts';

const skip = needs({ programs: ['tar', 'getfattr'] });
const random = generator(Number(process.env['CELLAR_SEED'] ?? 61));

describe('one flipped bit', { skip }, () => {
  let rig: Rig;
  before(async () => {
    rig = await makeRig({ files: 40, seed: 61 });
    const { store, path } = rig;
    await cellarOk(['import', rig.nextTar, 'next'], { store });
    for (const name of ['old', 'next']) {
      if (!privileged) continue;
      // Makes the EROFS image that is to be damaged.
      await cellarOk(['checkout', '--method', 'composefs', name, join(path, 'c')], { store });
      await cellarOk(['release', join(path, 'c')], { store });
    }
    wholeDigests.set('old', rig.exported).set('next', await exportDigest('next', store));
    await assertClean(store, 'before any damage');
  });
  after(() => rig?.[Symbol.dispose]());

  test('in an object', async () => {
    const { store } = rig;
    const objects = readdirSync(join(store, 'objects'), { recursive: true, encoding: 'utf8' })
      .map((name) => join(store, 'objects', name))
      .filter((path) => statSync(path).isFile());
    for (const path of pick(objects)) {
      const found = await damagedReport(rig, path);
      const digest = path.slice(-65).replace('/', '');
      assert.ok(
        found.some(({ id }) => id.includes(digest)),
        `${digest} is not named: ${JSON.stringify(found)}`,
      );
    }
  });

  test('in a manifest or its list of objects', async () => {
    const files = treeFiles(rig).filter((name) => !name.endsWith('.erofs'));
    assert.ok(files.length > 1);
    for (const name of files) {
      for (let index = 0; index < portion(20, 1); index++) {
        const derived = name.endsWith('.objects');
        const found = await damagedReport(rig, join(rig.store, 'trees', name), { derived });
        assert.ok(
          found.some(({ id }) => id.includes(name.slice(0, 64))),
          `${name}: ${JSON.stringify(found)}`,
        );
      }
    }
  });

  test('in an EROFS image', { skip: needs({ root: true }) }, async () => {
    const images = treeFiles(rig).filter((name) => name.endsWith('.erofs'));
    assert.ok(images.length > 0);
    for (const name of images) {
      for (let index = 0; index < portion(20, 1); index++) {
        const found = await damagedReport(rig, join(rig.store, 'trees', name), { derived: true });
        assert.ok(
          found.some(({ id }) => id.includes(name.slice(0, 64))),
          `${name}: ${JSON.stringify(found)}`,
        );
      }
    }
  });

  test('in each page of the database', async () => {
    const path = join(rig.store, 'cellar.db');
    const pages = Array.from({ length: statSync(path).size / 4096 }, (_, page) => page);
    for (const page of pick(pages)) {
      using _damage = flip(path, page * 4096 + Math.floor(random() * 4096));
      const checked = await cellar(['--json', 'fsck'], { store: rig.store });
      assert.equal(checked.code, 12, `page ${page}: ${checked.stdout}${checked.stderr}`);
      await assertHonest(rig, `page ${page}`);
    }
    await assertClean(rig.store, 'with every page whole again');
  });

  test('in the journal', async () => {
    using _damage = flip(join(rig.store, 'journal'));
    assert.equal((await cellar(['--json', 'fsck'], { store: rig.store })).code, 12);
    await assertHonest(rig, 'journal');
  });
});

interface Named {
  readonly id: string;
  readonly images: readonly string[];
}

/** Flips a bit, asks fsck and the readers, puts it back. @returns what fsck named, with the images affected */
async function damagedReport(rig: Rig, path: string, options: { derived?: boolean } = {}): Promise<Named[]> {
  using damage = flip(path);
  const { store } = rig;
  const what = `${basename(path)} at ${damage.offset}`;
  const checked = await cellar(['--json', 'fsck'], { store });
  assert.equal(checked.code, 12, `${what}: ${checked.stdout}${checked.stderr}`);
  const found = (checked.result?.['damaged'] ?? []) as Named[];
  assert.ok(
    found.some(({ images }) => images.length > 0),
    `${what}: no image named: ${checked.stdout}`,
  );
  const affected = found.flatMap(({ images }) => images).join(' ');
  const refused = await assertHonest(rig, what);
  // What can be derived again is not needed to export; what cannot must stop the export of an image affected.
  if (options.derived !== true) {
    assert.ok(refused.length > 0, `${what}: nothing was refused`);
    for (const name of refused)
      assert.ok(affected.includes(name), `${name} was refused, fsck named ${affected}`);
  }
  if (privileged) await assertCheckoutHonest(rig, what);
  return found;
}

/** Digest of each image's export while nothing is damaged. */
const wholeDigests = new Map<string, string>();

/** Every image is exported right or refused with exit 12. @returns the images refused */
async function assertHonest(rig: Rig, what: string): Promise<string[]> {
  const refused: string[] = [];
  for (const name of ['old', 'next']) {
    const done = await cellar(['export', '--format', 'tar', name, '-'], { store: rig.store });
    if (done.code !== 0) refused.push(name);
    else assert.equal(sha256(done.bytes), wholeDigests.get(name), `${what}: ${name}`);
    assert.ok(
      done.code === 0 || done.code === 12,
      `${what}: export ${name}: exit ${done.code}: ${done.stderr}`,
    );
  }
  const shown = await cellar(['cat', 'old', '/odd/links/b-first'], { store: rig.store });
  assert.ok(
    shown.code === 12 || shown.stdout === 'linked content',
    `${what}: cat: ${shown.stdout}${shown.stderr}`,
  );
  return refused;
}

async function assertCheckoutHonest(rig: Rig, what: string): Promise<void> {
  for (const method of ['copy', 'composefs']) {
    const directory = join(rig.path, 'honest');
    const done = await cellar(['checkout', '--method', method, 'old', directory], { store: rig.store });
    assert.ok(
      done.code === 0 || done.code === 12,
      `${what}: checkout ${method}: exit ${done.code}: ${done.stderr}`,
    );
    if (done.code === 0) {
      const differences = await compareTrees(rig.old.root, directory, { ignore: ['nlink', 'firstName'] });
      assert.deepEqual(differences, [], `${what}: ${method}`);
      await cellarOk(['release', directory], { store: rig.store });
    }
    remove(directory);
  }
}

/** Flips one bit, by default at a random place; disposing flips it back. */
function flip(
  path: string,
  offset = Math.floor(random() * statSync(path).size),
): Disposable & { offset: number } {
  const mask = 1 << Math.floor(random() * 8);
  const turn = (): void => {
    // A bit that flips on the medium moves no time; only ctime cannot be put back.
    const { mtimeNs } = statSync(path, { bigint: true });
    const file = openSync(path, 'r+');
    const byte = Buffer.alloc(1);
    readSync(file, byte, 0, 1, offset);
    byte[0] = (byte[0] as number) ^ mask;
    writeSync(file, byte, 0, 1, offset);
    closeSync(file);
    const time = `@${mtimeNs / 1_000_000_000n}.${String(mtimeNs % 1_000_000_000n).padStart(9, '0')}`;
    execFileSync('touch', ['-d', time, path]);
  };
  const { ino } = statSync(path);
  turn();
  return {
    offset,
    // What was derived anew meanwhile is whole.
    [Symbol.dispose]: () => void (statSync(path).ino === ino && turn()),
  };
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Of every tree, or in the short form of one: the other's are read by the same code. */
function treeFiles({ store }: Rig): readonly string[] {
  const names = readdirSync(join(store, 'trees')).sort();
  return soak ? names : names.filter((name) => name.slice(0, 64) === names[0]?.slice(0, 64));
}

function pick<T>(items: readonly T[]): readonly T[] {
  const samples = portion(items.length, 3);
  if (items.length <= samples) return items;
  return Array.from({ length: samples }, () => items[Math.floor(random() * items.length)] as T);
}
