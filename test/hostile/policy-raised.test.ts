/** A configuration that demands more than it did: what is cached is held to it, also where nothing is due. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../src/core/digest.ts';
import { cellar, type CellarOptions } from '../support/cellar.ts';
import { startFakeRegistry } from '../support/fake-registry.ts';
import { startImageServer } from '../support/image-server.ts';
import { makeTestKey, signDetached } from '../support/openpgp.ts';
import { makeScratch } from '../support/scratch.ts';

test('a digest or a signature that is wanted from now on', async () => {
  using scratch = makeScratch('policy-raised');
  const options = { store: join(scratch.path, 'store'), cwd: scratch.path };
  const [old, good] = [Buffer.from('old'), Buffer.from('good')];
  await using server = await startImageServer({ '/tool': old });
  const configure = (settings: object): void =>
    writeFileSync(
      join(scratch.path, 'cellar.yaml'),
      JSON.stringify({ images: { tool: { source: `${server.url}/tool`, refresh: 'never', ...settings } } }),
    );
  const sync = async (...args: string[]): Promise<string> =>
    await outcome(['--json', 'sync', ...args], options);
  configure({ verify: 'no' });
  assert.equal(await sync(), '0 new');
  assert.equal(await sync(), '0 not due');
  configure({ sha256: sha256(good) });
  assert.equal(await sync('--only-cached'), '10 failed E_NOT_CACHED');
  assert.equal(await sync(), '5 failed E_CHECKSUM_MISMATCH');
  server.files.set('/tool', good);
  assert.equal(await sync(), '0 updated');
  assert.equal(await sync('--only-cached'), '0 unchanged');
  assert.equal(await sync(), '0 not due');

  // Upstream has nothing new, and what was proven then is not what is named now.
  configure({ sha256: sha256('another') });
  assert.equal(await sync('--only-cached'), '10 failed E_NOT_CACHED');
  assert.equal(await sync(), '5 failed E_CHECKSUM_MISMATCH');

  const key = await makeTestKey();
  writeFileSync(join(scratch.path, 'key.pgp'), key.secret.toPublic().write());
  configure({ verify: 'signature', keyring: 'key.pgp' });
  assert.equal(await sync('--only-cached'), '10 failed E_NOT_CACHED');
  assert.equal(await sync(), '5 failed E_VERIFICATION_UNAVAILABLE');
  server.files.set('/tool.asc', await signDetached(key, good));
  assert.equal(await sync(), '0 updated');
  assert.equal(await sync('--only-cached'), '0 unchanged');
});

test('an upstream that is down or has nothing leaves in use only what is as good as is asked for', async () => {
  using scratch = makeScratch('stands-in');
  const options = { store: join(scratch.path, 'store'), cwd: scratch.path };
  const old = Buffer.from('old');
  const server = await startImageServer({ '/tool': old });
  const pull = async (source: string, ...args: string[]): Promise<string> => {
    const words = ['--json', 'pull', source, 'tool', '--retries', '0', ...args];
    const { code, stdout, result } = await cellar(words, options);
    const [image] = (result?.['images'] ?? []) as { change: string }[];
    return `${code} ${image?.change ?? /E_\w+/.exec(stdout)?.[0]}`;
  };
  const url = `${server.url}/tool`;
  try {
    assert.equal(await pull(url, '--verify', 'no'), '0 new');
    // A mistyped name, and a keyring that is not there, say nothing of what this one came from.
    assert.equal(await pull(`${server.url}/tol`), '10 E_SOURCE_GONE');
    assert.equal(await pull(url, '--keyring', 'none.asc'), '2 E_KEYRING_INVALID');
    const { stdout } = await cellar(['outdated', '--all', '--json'], options);
    assert.match(stdout, /"state":"fresh"/);
  } finally {
    await server[Symbol.asyncDispose]();
  }
  assert.equal(await pull(url), '3 unchanged');
  assert.equal(await pull(url, '--sha256', sha256(old)), '3 unchanged');
  assert.equal(await pull(url, '--sha256', sha256('another')), '1 E_HTTP_UNREACHABLE');
  assert.equal(await pull(url, '--verify', 'checksum'), '1 E_HTTP_UNREACHABLE');
  assert.equal(await pull(url, '--verify', 'signature'), '1 E_HTTP_UNREACHABLE');
  const named = `docker+${server.url}/tool@sha256:${sha256('another')}`;
  assert.equal(await pull(named), '1 E_HTTP_UNREACHABLE');
});

test('a signer of OCI images that is named from now on', async () => {
  using scratch = makeScratch('signer-named');
  const options = { store: join(scratch.path, 'store'), cwd: scratch.path };
  await using registry = await startFakeRegistry();
  const { digest } = registry.put('tool', { tag: 'v1' });
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(join(scratch.path, 'cosign.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  const image = { source: `docker+http://${registry.host}/tool:v1`, platform: 'all', refresh: 'never' };
  const sync = async (settings: object, ...args: string[]): Promise<string> => {
    const config = { images: { tool: { ...image, ...settings } } };
    writeFileSync(join(scratch.path, 'cellar.yaml'), JSON.stringify(config));
    return await outcome(['--json', 'sync', ...args], options);
  };
  const cosign = { key: 'cosign.pub' };
  assert.equal(await sync({}), '0 new');
  assert.equal(await sync({}), '0 not due');
  assert.equal(await sync({ cosign, verify: 'checksum' }, '--only-cached'), '0 unchanged');
  assert.equal(await sync({ cosign }, '--only-cached'), '10 failed E_NOT_CACHED');
  assert.equal(await sync({ cosign }), '5 failed E_COSIGN_MISSING');
  const named = { sha256: sha256('another'), platform: 'linux/amd64' };
  assert.equal(await sync(named), '5 failed E_CHECKSUM_MISMATCH');
  assert.equal(await sync({ ...named, sha256: digest }), '0 unchanged');
});

async function outcome(words: readonly string[], options: CellarOptions): Promise<string> {
  const { code, stderr, result } = await cellar(words, options);
  const [image] = (result?.['images'] ?? []) as { outcome: string }[];
  return `${code} ${image?.outcome} ${/E_\w+/.exec(stderr)?.[0] ?? ''}`.trim();
}
