/**
 * Content that is in the store already, and a server that would like it to pass for something it is not: named by sums
 * that nobody signed, beside a genuine signature of something else; or stored under another reading of the same bytes.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { revokeKey } from 'openpgp';
import { sha256 } from '../../src/core/digest.ts';
import { cellar, cellarOk, type CellarOptions } from '../support/cellar.ts';
import { startImageServer, type ImageServer } from '../support/image-server.ts';
import { makeTestKey, signDetached, type TestKey } from '../support/openpgp.ts';
import { makeScratch } from '../support/scratch.ts';
import { archive, directory, file } from '../support/tar-builder.ts';

const good = Buffer.from('what the vendor signed\n');
const evil = Buffer.from('what the vendor never saw\n');

let vendor: TestKey;
let stranger: TestKey;
before(async () => {
  vendor = await makeTestKey('Vendor <vendor@example.org>');
  stranger = await makeTestKey('Stranger <stranger@example.org>');
});

interface Site extends AsyncDisposable {
  readonly server: ImageServer;
  readonly options: CellarOptions;
  readonly path: string;
  /** Paths of keyrings, one key in each. */
  readonly vendor: string;
  readonly stranger: string;
}

async function makeSite(): Promise<Site> {
  const scratch = makeScratch('borrowed');
  const server = await startImageServer();
  const keyring = (name: string, key: TestKey): string => {
    const path = join(scratch.path, `${name}.pgp`);
    writeFileSync(path, key.secret.toPublic().write());
    return path;
  };
  return {
    server,
    options: { store: join(scratch.path, 'store'), cwd: scratch.path },
    path: scratch.path,
    vendor: keyring('vendor', vendor),
    stranger: keyring('stranger', stranger),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      scratch[Symbol.dispose]();
    },
  };
}

test('a file that came without proof is not what a signature is over because sums say so', async () => {
  await using site = await makeSite();
  const { server, options } = site;
  const { files } = server;
  files.set('/any/tool', evil);
  await cellarOk(['pull', `${server.url}/any/tool`, 'any', '--verify', 'no'], options);
  files.set('/vendor/tool', good);
  files.set('/vendor/tool.asc', await signDetached(vendor, good, { armoured: true }));
  files.set('/vendor/SHA256SUMS', `${sha256(evil)}  tool\n`);
  const pull = ['pull', `${server.url}/vendor/tool`, 'tool', '--keyring', site.vendor];
  const lied = await cellar(pull, options);
  assert.equal(lied.code, 5, `${lied.stdout}${lied.stderr}`);
  assert.equal((await cellar(['show', 'tool'], options)).code, 10);
  files.set('/vendor/tool', evil);
  assert.equal((await cellar(pull, options)).code, 5);
  assert.equal((await cellar(['show', 'tool'], options)).code, 10);
});

test('what one key signed is not what another did because sums say so', async () => {
  await using site = await makeSite();
  const { server, options } = site;
  const { files } = server;
  const tar = archive(file('name', evil));
  files.set('/stranger/root.tar', tar);
  files.set('/stranger/root.tar.asc', await signDetached(stranger, tar));
  await cellarOk(['pull', `${server.url}/stranger/root.tar`, 'any', '--keyring', site.stranger], options);
  files.set('/vendor/root.tar', tar);
  files.set('/vendor/root.tar.asc', await signDetached(vendor, archive(file('name', good))));
  files.set('/vendor/SHA256SUMS', `${sha256(tar)}  root.tar\n`);
  const pull = ['pull', `${server.url}/vendor/root.tar`, 'root', '--keyring', site.vendor];
  const lied = await cellar(pull, options);
  assert.equal(lied.code, 5, `${lied.stdout}${lied.stderr}`);
  assert.match(lied.stderr, /E_SIGNATURE_BAD/);
  assert.equal((await cellar(['show', 'root'], options)).code, 10);
});

test('what is kept beside an image is not what its own signature is over because sums say so', async () => {
  await using site = await makeSite();
  const { server, options } = site;
  const at = '/debian/trixie/amd64/default/1';
  server.files.set('/meta/1.0/index-system', `debian;trixie;amd64;default;1;${at}/\n`);
  const root = archive(file('name', good));
  const put = (name: string, bytes: Buffer | string): unknown => server.files.set(`${at}/${name}`, bytes);
  put('rootfs.tar.xz', root);
  put('rootfs.tar.xz.asc', await signDetached(vendor, root));
  put('meta.tar.xz', evil);
  put('meta.tar.xz.asc', await signDetached(stranger, evil));
  const names = ['meta.tar.xz', 'lxc-meta.tar.xz'].map((name) => `${sha256(evil)}  ${name}\n`);
  put('SHA256SUMS', `${sha256(root)}  rootfs.tar.xz\n${names.join('')}`);
  const pull = (name: string): string[] => [
    ...['pull', `lxc+${server.url}/debian/trixie`, name, '--platform', 'linux/amd64'],
    ...['--keyring', site.vendor],
  ];
  const both = await cellarOk([...pull('both'), '--keyring', site.stranger], options);
  assert.match(JSON.stringify(both), /"verified":"signature"/);
  // Nobody answers for all of it, so nobody is said to.
  assert.doesNotMatch(JSON.stringify(both), /"signer"/);
  // Image and name are those of the one that is stored; the signature that is owed is over something else.
  put('meta.tar.xz.asc', await signDetached(vendor, good));
  const lied = await cellar(pull('mine'), options);
  assert.equal(lied.code, 5, `${lied.stdout}${lied.stderr}`);
  assert.match(lied.stderr, /E_SIGNATURE_BAD/);
  assert.equal((await cellar(['show', 'mine'], options)).code, 10);
  // What one key signed as a whole is not asked for again.
  put('meta.tar.xz.asc', await signDetached(vendor, evil));
  await cellarOk(pull('mine'), options);
  server.requests.length = 0;
  put('rootfs.tar.xz.asc', await signDetached(vendor, root, { at: new Date('2026-03-02') }));
  server.files.set('/meta/1.0/index-system', `debian;trixie;amd64;default;2;${at}/\n`);
  const again = await cellarOk(pull('again'), options);
  assert.match(JSON.stringify(again), new RegExp(`"signer":"${vendor.fingerprint}`));
  assert.deepEqual(
    server.requests.filter(({ line }) => line.endsWith('.xz')),
    [],
  );
});

test('the same archive as a tree of its own and as one with the root within it', async () => {
  const tar = archive(
    file('metadata.yaml', 'architecture: x86_64\n'),
    directory('rootfs/'),
    file('rootfs/hello', good),
  );
  const item = { ftype: 'lxd_combined.tar.gz', path: 'images/u.tar', sha256: sha256(tar), size: tar.length };
  const products = {
    format: 'products:1.0',
    products: {
      'x:1:amd64:default': {
        ...{ arch: 'amd64', os: 'x', release: '1', aliases: 'x' },
        versions: { '20260101': { items: { 'lxd_combined.tar.gz': item } } },
      },
    },
  };
  const names = ['x:1:amd64:default'];
  const index = {
    format: 'index:1.0',
    index: { images: { datatype: 'image-downloads', path: 'streams/v1/images.json', products: names } },
  };
  for (const order of [
    ['plain', 'unified'],
    ['unified', 'plain'],
  ]) {
    await using site = await makeSite();
    const { server, options } = site;
    server.files.set('/streams/v1/index.json', JSON.stringify(index));
    server.files.set('/streams/v1/images.json', JSON.stringify(products));
    server.files.set('/images/u.tar', tar);
    server.files.set('/images/u.tar.sha256', sha256(tar));
    for (const name of order) {
      const port = server.url.slice('http://'.length);
      const source = name === 'plain' ? `${server.url}/images/u.tar` : `simplestreams+http://${port}#x`;
      await cellarOk(['pull', source, name, '--platform', 'linux/amd64'], options);
    }
    const paths = async (name: string): Promise<string> => {
      const { stdout, stderr } = await cellar(['files', name, '--platform', 'linux/amd64'], options);
      return `${stdout}${stderr}`;
    };
    assert.match(await paths('plain'), /rootfs\/hello/);
    assert.doesNotMatch(await paths('unified'), /rootfs|metadata/, order.join(', then '));
  }
});

test('what another reference was content with is not enough for one that had a signature', async () => {
  await using site = await makeSite();
  const { server, options } = site;
  const { files } = server;
  const publish = async (bytes: Buffer, isSigned: boolean): Promise<void> => {
    const sums = `${sha256(bytes)}  tool\n`;
    files.set('/tool', bytes);
    files.set('/SHA256SUMS', sums);
    if (isSigned) files.set('/SHA256SUMS.gpg', await signDetached(vendor, Buffer.from(sums)));
    else files.delete('/SHA256SUMS.gpg');
  };
  await publish(good, true);
  const pull = ['pull', `${server.url}/tool`, 'mine', '--keyring', site.vendor];
  await cellarOk(pull, options);
  await publish(evil, false);
  await cellarOk(['pull', `${server.url}/tool`, 'other', '--verify', 'checksum'], options);
  const lied = await cellar(pull, options);
  assert.equal(lied.code, 5, `${lied.stdout}${lied.stderr}`);
  assert.match(lied.stderr, /E_VERIFICATION_DOWNGRADE/);
  assert.equal((await cellar(['export', 'mine', '-'], options)).stdout, good.toString());
});

test('two files that differ in what is not remembered of their URLs are not one', async () => {
  await using site = await makeSite();
  const { server, options } = site;
  server.manners.validators = 'date';
  for (const [name, bytes] of [
    ['one', good],
    ['two', evil],
  ] as const) {
    server.files.set(`/get?key=${name}`, bytes);
    await cellarOk(['pull', `${server.url}/get?key=${name}`, name, '--verify', 'no'], options);
    assert.equal((await cellar(['export', name, '-'], options)).stdout, bytes.toString());
  }
});

test('an image that is gone is followed by none that is proven less', async () => {
  await using site = await makeSite();
  const { server, options } = site;
  const sums = `${sha256(good)}  tool\n`;
  server.files.set('/tool', good);
  server.files.set('/SHA256SUMS', sums);
  server.files.set('/SHA256SUMS.gpg', await signDetached(vendor, Buffer.from(sums)));
  const pull = ['pull', `${server.url}/tool`, 'tool', '--keyring', site.vendor];
  await cellarOk(pull, options);
  await cellarOk(['rm', 'tool'], options);
  await cellarOk(['gc', '--grace', '0'], options);
  server.files.set('/tool', evil);
  server.files.set('/SHA256SUMS', `${sha256(evil)}  tool\n`);
  server.files.delete('/SHA256SUMS.gpg');
  const lied = await cellar(pull, options);
  assert.equal(lied.code, 5, `${lied.stdout}${lied.stderr}`);
  assert.match(lied.stderr, /E_VERIFICATION_DOWNGRADE/);
  await cellarOk([...pull, '--verify', 'checksum'], options);
  await cellarOk([...pull, '--refresh'], options);
});

test('a key that is revoked vouches for nothing any more, also when nothing is new', async () => {
  await using site = await makeSite();
  const { server, options } = site;
  server.files.set('/tool', good);
  server.files.set('/tool.asc', await signDetached(vendor, good));
  const pull = ['pull', `${server.url}/tool`, 'tool', '--keyring', site.vendor];
  await cellarOk(pull, options);
  await cellarOk(pull, options);
  const revoked = await revokeKey({ key: vendor.secret, format: 'object' });
  writeFileSync(site.vendor, revoked.publicKey.write());
  const refused = await cellar(pull, options);
  assert.match(refused.stderr, /E_SIGNATURE_KEY_REVOKED/);
});
