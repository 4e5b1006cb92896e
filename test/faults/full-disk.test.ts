/** A full file system: a clear error, exit 13, nothing changed, and `rm` and `gc` work on it and make room again. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../src/core/digest.ts';
import { cellar, cellarOk } from '../support/cellar.ts';
import { serve } from '../support/http-server.ts';
import { makeLoopFilesystem, type LoopType } from '../support/loopfs.ts';
import { needs, sh, soak } from '../support/run.ts';
import { makeScratch } from '../support/scratch.ts';
import { assertClean, exportDigest, makeRig, references } from './rig.ts';
import { generator, randomBytes } from '../support/random.ts';

const types: readonly LoopType[] = soak ? ['ext4', 'ext4-nojournal', 'xfs', 'btrfs'] : ['ext4'];

for (const type of types) {
  const skip = needs({
    root: true,
    programs: [type === 'btrfs' || type === 'xfs' ? `mkfs.${type}` : 'mkfs.ext4', 'losetup'],
  });
  test(`a full ${type}`, { skip }, async () => {
    const size = (type === 'xfs' ? 320 : type === 'btrfs' ? 160 : 64) << 20;
    await using loop = await makeLoopFilesystem({ type, size });
    using rig = await makeRig({ files: 60, seed: 31, parent: loop.mount });
    using large = makeScratch('large');
    const { store } = rig;
    const random = generator(1);
    for (let index = 0; index < size >> 20; index++) {
      writeFileSync(join(large.path, `mebibyte-${index}`), randomBytes(1 << 20, random));
    }
    const before = await references(store);

    const failed = await cellar(['import', large.path, 'large'], { store });
    assert.equal(failed.code, 13, failed.stderr);
    assert.match(failed.stderr, /no space left/);
    assert.match(failed.stderr, /gc/, 'the hint names the next command');
    await assertClean(store, 'after the failed import');
    assert.equal(await references(store), before);

    // Now full to the last block by something else: reading, removing and collecting still work.
    await cellarOk(['import', rig.nextTar, 'next'], { store });
    fill(loop.mount);
    const again = await cellar(['import', large.path, 'large'], { store });
    assert.equal(again.code, 13, again.stderr);
    assert.equal(await exportDigest('old', store), rig.exported);
    const removed = await cellar(['rm', 'next'], { store });
    assert.equal(removed.code, 0, `rm on a full disk: ${removed.stderr}`);
    const collected = await cellar(['gc', '--grace', '0'], { store });
    assert.equal(collected.code, 0, `gc on a full disk: ${collected.stderr}`);
    await assertClean(store, 'after gc on the full disk');
    const { bavail, bsize } = statfsSync(loop.mount);
    assert.ok(bavail * bsize > 0, 'gc freed something');
    // What was freed is as much as comes again. Staging has 256 directories besides, and what one worker hashes while it
    // writes takes room from the other for a moment.
    for (const filler of Array(9).keys()) rmSync(join(loop.mount, `filler-1048576-${filler}`));
    await cellarOk(['import', rig.nextTar, 'next'], { store });
    await assertClean(store, 'after the import into the freed space');
    assert.equal(await exportDigest('old', store), rig.exported);
  });
}

test(
  'a large file that the store has needs no room',
  { skip: needs({ root: true, programs: ['losetup'] }) },
  async () => {
    await using loop = await makeLoopFilesystem({ type: 'ext4', size: 64 << 20 });
    using scratch = makeScratch('known');
    const store = join(loop.mount, 'store');
    const random = generator(7);
    const [known, fresh] = [join(scratch.path, 'z-known'), join(scratch.path, 'a-new')];
    writeFileSync(known, randomBytes(20 << 20, random));
    writeFileSync(join(scratch.path, 'sparse'), '');
    truncateSync(join(scratch.path, 'sparse'), 30 << 20);
    appendFileSync(join(scratch.path, 'sparse'), randomBytes(2 << 20, random));
    await cellarOk(['import', scratch.path, 'first'], { store });
    // After a large file that is new the next is written while it is hashed.
    writeFileSync(fresh, randomBytes(3 << 20, random));
    await sh(`tar --sort=name -C ${scratch.path} -cf ${scratch.path}.tar . && zstd -q ${scratch.path}.tar`);
    // Room for what is new, also while the other worker writes; not for what is there.
    const { bavail, bsize } = statfsSync(loop.mount);
    writeFileSync(join(loop.mount, 'filler'), Buffer.alloc(bavail * bsize - (17 << 20), 1), { flush: true });
    for (const source of [scratch.path, `${scratch.path}.tar`, `${scratch.path}.tar.zst`]) {
      await cellarOk(['import', source, 'second'], { store });
      await assertClean(store, source);
      await cellarOk(['rm', 'second'], { store });
      await cellarOk(['gc', '--grace', '0', '--keep-history', '0'], { store });
    }
    rmSync(`${scratch.path}.tar`);
    rmSync(`${scratch.path}.tar.zst`);
  },
);

test(
  'before a pull the disk is asked for what is certain, and for a new image for what it may unpack to',
  { skip: needs({ root: true, programs: ['losetup'] }) },
  async () => {
    await using loop = await makeLoopFilesystem({ type: 'ext4', size: 64 << 20 });
    using scratch = makeScratch('preflight');
    const store = join(loop.mount, 'store');
    const random = generator(11);
    await using server = await serve(({ url }, response) => {
      const body = readFileSync(`${scratch.path}${url}`);
      response.writeHead(200, { 'content-length': body.length, etag: `"${sha256(body)}"` }).end(body);
    });
    const publish = async (mebibytes: number): Promise<void> => {
      writeFileSync(join(scratch.path, 'root', `part-${mebibytes}`), randomBytes(1 << 20, random));
      await sh(`tar --sort=name -C ${scratch.path}/root -czf ${scratch.path}/root.tar.gz .`);
    };
    const pull = (name: string): ReturnType<typeof cellar> =>
      cellar(['pull', '--verify', 'no', `${server.url}/root.tar.gz`, name], { store });

    mkdirSync(join(scratch.path, 'root'));
    for (let count = 0; count < 10; count++) await publish(count);
    const first = await pull('base');
    assert.equal(first.code, 0, first.stderr);
    await publish(10);
    await publish(11);
    const other = await pull('other');
    assert.equal(other.code, 13, 'twelve mebibytes packed may be forty-eight');
    assert.match(other.stderr, /E_SPACE_NEEDED\]: 48\.0 MiB are needed/);
    assert.match(other.stderr, /cellar du/);
    await assertClean(store, 'after the refusal');
    const renewed = await pull('base');
    assert.equal(renewed.code, 0, renewed.stderr);

    await cellarOk(['rm', 'base'], { store });
    await publish(11);
    const refused = await pull('other');
    assert.equal(refused.code, 13);
    assert.match(refused.stderr, /'cellar gc --grace 0' frees 1\d\.\d MiB/);
    await cellarOk(['gc', '--grace', '0', '--keep-history', '0'], { store });
    const fits = await pull('other');
    assert.equal(fits.code, 0, fits.stderr);
  },
);

/** Takes every free block, in ever smaller pieces. */
function fill(mount: string): void {
  const file = join(mount, 'filler');
  for (let size = 1 << 20; size >= 512; size >>= 1) {
    for (let index = 0; ; index++) {
      try {
        writeFileSync(`${file}-${size}-${index}`, Buffer.alloc(size, 1), { flush: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        break;
      }
    }
  }
  assert.ok(existsSync(`${file}-1048576-0`) && readdirSync(mount).length > 1);
}
