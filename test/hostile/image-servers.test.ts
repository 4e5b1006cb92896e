/**
 * Image servers whose answers are odd in ways that only a whole pull meets: an index ahead of its files, metadata
 * without proof, archives that are not what they are listed as, and more beside a tree than a record should hold.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../src/core/digest.ts';
import { cellar, cellarOk, type CellarOptions } from '../support/cellar.ts';
import { startImageServer, type ImageServer } from '../support/image-server.ts';
import { needs } from '../support/run.ts';
import { makeScratch } from '../support/scratch.ts';
import { streamsIndex } from '../support/simplestreams.ts';
import { archive, directory, file } from '../support/tar-builder.ts';

const root = archive(directory('./'), file('etc', 'conf'));
const metadata = archive(file('config', 'lxc.arch = amd64\n'));
const amd64 = ['--platform', 'linux/amd64'];

interface Site extends AsyncDisposable {
  readonly server: ImageServer;
  readonly options: CellarOptions;
}

async function makeSite(files: Record<string, Buffer | string>): Promise<Site> {
  const scratch = makeScratch('image-servers');
  const server = await startImageServer(files);
  return {
    server,
    options: { store: join(scratch.path, 'store'), cwd: scratch.path },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      scratch[Symbol.dispose]();
    },
  };
}

test('an index that is ahead of its files is no withdrawal: what is here stays, and is not called gone', async () => {
  await using site = await makeSite(stream({ 'root.tar.xz': root, 'incus.tar.xz': metadata }));
  const { server, options } = site;
  const pull = ['pull', `simplestreams+${server.url}#x`, 'x', ...amd64];
  await cellarOk(pull, options);
  const products = server.files.get(productsFile)!;
  server.files.delete(productsFile);
  const early = await cellar([...pull, '--json'], options);
  assert.equal(early.code, 3, early.stderr);
  assert.match(early.stderr, /images\.json answered 404[^]*index\.json names it/);
  const { stdout } = await cellar(['outdated'], options);
  assert.match(stdout, /^x\S* +stale /m);
  server.files.set(productsFile, products);
  assert.equal((await cellarOk(pull, options))['code'], undefined);
});

test('metadata without proof is refused with a way out that is one', async () => {
  const place = '/images/x/';
  await using site = await makeSite({
    '/meta/1.0/index-system': `debian;trixie;amd64;default;1;${place}\n`,
    [`${place}rootfs.tar.xz`]: root,
    [`${place}meta.tar.xz`]: metadata,
  });
  const { server, options } = site;
  const pull = ['pull', `lxc+${server.url}/debian/trixie`, 'x', ...amd64, '--sha256', sha256(root)];
  const unproven = await cellar(pull, options);
  assert.equal(unproven.code, 5, unproven.stderr);
  assert.match(
    unproven.stderr,
    /meta\.tar\.xz offers no[^]*--sha256 is for the image alone, and --verify=no/,
  );
  server.files.set(`${place}SHA256SUMS`, `${sha256(root)}  rootfs.tar.xz\n`);
  const unlisted = await cellar(pull, options);
  assert.match(unlisted.stderr, /E_CHECKSUM_NAME[^]*--sha256 is for the image alone/);
  const wrong = await cellar([...pull.slice(0, -1), 'a'.repeat(64), '--verify', 'no'], options);
  assert.match(wrong.stderr, /E_CHECKSUM_MISMATCH/);
  await cellarOk([...pull, '--verify', 'no'], options);
});

test('sums of many files prove one of them, for the newest of a directory and for a file', async () => {
  const others = Array.from({ length: 20_000 }, (_, at) => `${'0'.repeat(64)}  other-${at}.tar`);
  await using site = await makeSite({
    '/d/SHA256SUMS': [...others, `${sha256(root)}  root-1.tar`, ''].join('\n'),
    '/d/root-1.tar': root,
  });
  const { server, options } = site;
  for (const source of [`latest:${server.url}/d/?root-.*`, `${server.url}/d/root-1.tar`]) {
    const { images } = (await cellarOk(['pull', source, 'x'], options)) as { images: { verified: string }[] };
    assert.equal(images[0]!.verified, 'checksum');
  }
});

test('a unified image without its tree, and one with a thousand files beside it', async () => {
  const many = Array.from({ length: 1001 }, (_, at) => file(`templates/${at}`, 'x'));
  const long = Array.from({ length: 700 }, (_, at) => file(`${'d'.repeat(90)}/${at}`, 'x'));
  const cases: readonly (readonly [Buffer, RegExp])[] = [
    [metadata, /E_ARCHIVE_FORMAT.*x\.tar\.gz .*it has no directory rootfs/],
    [archive(file('rootfs', 'a file')), /E_ARCHIVE_FORMAT.*it has no directory rootfs/],
    [archive(directory('rootfs/'), ...many), /E_ARCHIVE_LIMIT.*1000 files/],
    [archive(directory('rootfs/'), ...long), /E_ARCHIVE_LIMIT.*65536 bytes of names/],
  ];
  for (const [bytes, said] of cases) {
    await using site = await makeSite(stream({ 'incus_combined.tar.gz': bytes }));
    const { server, options } = site;
    const done = await cellar(['pull', `simplestreams+${server.url}#x`, 'x', ...amd64], options);
    assert.equal(done.code, 1);
    assert.match(done.stderr, said);
    assert.equal((await cellar(['show', 'x'], options)).code, 10);
  }
});

test(
  'what is listed as squashfs and is none is called by its name',
  { skip: needs({ programs: ['sqfs2tar'] }) },
  async () => {
    await using site = await makeSite(stream({ squashfs: root, 'incus.tar.xz': metadata }));
    const { server, options } = site;
    const done = await cellar(['pull', `simplestreams+${server.url}#x`, 'x', ...amd64], options);
    assert.equal(done.code, 1);
    assert.match(done.stderr, /E_SQUASHFS_CORRUPT[^]*squashfs cannot be read/);
    assert.doesNotMatch(done.stderr, /downloads\//);
  },
);

const productsFile = '/streams/v1/images.json';

/** One product, `x`, whose version has these files by their types. */
function stream(files: Readonly<Record<string, Buffer>>): Record<string, Buffer | string> {
  const suffix = (ftype: string): string => (ftype === 'incus_combined.tar.gz' ? 'x.tar.gz' : ftype);
  const items = Object.fromEntries(
    Object.entries(files).map(([ftype, bytes]) => [
      ftype,
      { ftype, path: `files/${suffix(ftype)}`, sha256: sha256(bytes), size: bytes.length },
    ]),
  );
  const product = { aliases: 'x', arch: 'amd64', versions: { '20260101': { items } } };
  return {
    '/streams/v1/index.json': JSON.stringify(streamsIndex()),
    [productsFile]: JSON.stringify({ format: 'products:1.0', products: { product } }),
    ...Object.fromEntries(Object.entries(files).map(([ftype, bytes]) => [`/files/${suffix(ftype)}`, bytes])),
  };
}
