/** `cellar pull docker://…` from Debian's docker-registry through the command line: platforms, credentials, cosign, trees. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { cellar, cellarOk } from '../support/cellar.ts';
import { pushImage, startRegistry, type RegistryPeer } from '../support/registry.ts';
import { needs, quote, sh } from '../support/run.ts';
import { makeScratch } from '../support/scratch.ts';
import { publicPem, signingPayload, simpleSigning } from '../support/sigstore-lab.ts';

const skip = needs({ programs: ['docker-registry', 'skopeo', 'umoci', 'htpasswd', 'curl'] });
const scratch = makeScratch('registry-pull');
const store = join(scratch.path, 'store');
const env = { REGISTRY_AUTH_FILE: join(scratch.path, 'none.json') };
let open: RegistryPeer;
let closed: RegistryPeer;

before(async () => {
  if (skip !== false) return;
  open = await startRegistry(join(scratch.path, 'open'));
  closed = await startRegistry(join(scratch.path, 'closed'), { name: 'reader', password: 'secret' });
  for (const architecture of ['amd64', 'arm64'])
    await pushImage(scratch.path, {
      to: `${open.host}/app:${architecture}`,
      architecture,
      content: `for ${architecture}`,
    });
  await pushImage(scratch.path, {
    to: `${closed.host}/private:v1`,
    architecture: 'amd64',
    content: 'private',
    credentials: 'reader:secret',
  });
});

after(async () => {
  await open?.[Symbol.asyncDispose]();
  await closed?.[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

test(
  'an image is kept byte for byte, unchanged the second time, and checked out as a tree',
  { skip },
  async () => {
    const pull = ['pull', `docker://${open.host}/app:amd64`, 'app:1'];
    const first = await cellarOk(pull, { store, env });
    assert.equal(image(first).kind, 'oci');
    assert.equal(image(first).verified, 'checksum');
    const raw = await sh(`skopeo inspect --raw --tls-verify=false docker://${open.host}/app:amd64`);
    const { content } = (await cellarOk(['show', 'app:1'], { store })) as { content: string };
    assert.equal(readFileSync(join(store, 'objects', content.slice(0, 2), content.slice(2)), 'utf8'), raw);
    const again = await cellarOk(pull, { store, env });
    assert.deepEqual([image(again).change, again['transferred']], ['unchanged', 0]);
    const out = join(scratch.path, 'out');
    await cellarOk(['checkout', 'app:1', out, '--method', 'copy'], { store });
    const [path = ''] = (await sh(`cd ${quote(out)}; grep -rl amd64 .`)).trim().split('\n');
    const files = (await cellarOk(['files', 'app:1', path], { store })) as { entries: { digest: string }[] };
    const { digest } = files.entries[0]!;
    const object = join(store, 'objects', digest.slice(0, 2), digest.slice(2));
    chmodSync(object, 0o600);
    writeFileSync(object, readFileSync(object, 'utf8').toUpperCase());
    assert.equal((await cellar(['fsck'], { store })).code, 12, 'a merged file is damaged, and no layer');
    const repaired = await cellar(['fsck', '--repair'], { store });
    assert.equal(repaired.code, 0, repaired.stderr + repaired.stdout);
  },
);

test('credentials: none, wrong and right; a password is never shown', { skip }, async () => {
  const pull = ['pull', `docker://${closed.host}/private:v1`, 'private:1', '--retries', '0'];
  const refused = await cellar(pull, { store, env });
  assert.equal(refused.code, 4, refused.stderr);
  const password = join(scratch.path, 'password');
  writeFileSync(password, 'wrong-and-telling\n');
  const wrong = await cellar([...pull, '--user', 'reader', '--password-file', password, '--verbose'], {
    store,
    env,
  });
  assert.equal(wrong.code, 4, wrong.stderr);
  assert.doesNotMatch(wrong.stderr + wrong.stdout, /telling/);
  writeFileSync(password, 'secret\n');
  const right = await cellarOk([...pull, '--user', 'reader', '--password-file', password], { store, env });
  assert.equal(image(right).change, 'new');
});

test(
  'a cosign signature by key: missing, made by another, right, and demanded ever after',
  { skip },
  async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = join(scratch.path, 'cosign.pub');
    writeFileSync(key, publicPem(privateKey));
    const source = `docker://${open.host}/app:arm64`;
    const pull = ['pull', source, 'signed:1', '--platform', 'linux/arm64', '--cosign-key', key];
    const missing = await cellar(pull, { store, env });
    assert.equal(missing.code, 5, missing.stderr);
    assert.match(missing.stderr, /E_COSIGN_MISSING/);
    const digest = (
      await sh(`skopeo inspect --raw --tls-verify=false ${source} | sha256sum | cut -c1-64`)
    ).trim();
    await putSignature(digest, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
    const wrong = await cellar(pull, { store, env });
    assert.equal(wrong.code, 5, wrong.stderr);
    await putSignature(digest, privateKey);
    const signed = await cellarOk(pull, { store, env });
    assert.equal(image(signed).verified, 'signature');
    assert.equal(image(await cellarOk(pull, { store, env })).change, 'unchanged');
    const other = join(scratch.path, 'other.pub');
    writeFileSync(other, publicPem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey));
    for (const reference of ['signed:1', 'signed:2']) {
      const distrusted = await cellar(
        ['pull', source, reference, '--platform', 'linux/arm64', '--cosign-key', other],
        { store, env },
      );
      assert.match(distrusted.stderr, /E_COSIGN_INVALID/, reference);
    }
    const weaker = await cellar(['pull', source, 'signed:1', '--platform', 'linux/arm64', '--refresh'], {
      store,
      env,
    });
    assert.equal(weaker.code, 5, weaker.stderr);
    assert.match(weaker.stderr, /E_VERIFICATION_DOWNGRADE/);
  },
);

/** As cosign does: a manifest under the tag `sha256-….sig` whose layer is the payload, signed in an annotation. */
async function putSignature(digest: string, key: Parameters<typeof sign>[2]): Promise<void> {
  const payload = signingPayload(digest);
  const signature = sign('sha256', payload, key).toString('base64');
  const config = Buffer.from('{}');
  const layer = { mediaType: simpleSigning, ...(await putBlob(payload)) };
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...(await putBlob(config)) },
    layers: [{ ...layer, annotations: { 'dev.cosignproject.cosign/signature': signature } }],
  };
  const url = `http://${open.host}/v2/app/manifests/sha256-${digest}.sig`;
  const put = await fetch(url, {
    method: 'PUT',
    headers: { 'Content-Type': manifest.mediaType },
    body: JSON.stringify(manifest),
  });
  assert.equal(put.status, 201, await put.text());
}

async function putBlob(bytes: Buffer): Promise<{ digest: string; size: number }> {
  const file = join(scratch.path, 'blob');
  writeFileSync(file, bytes);
  const digest = `sha256:${(await sh(`sha256sum ${quote(file)} | cut -c1-64`)).trim()}`;
  await sh(`location=$(curl -sfi -X POST http://${open.host}/v2/app/blobs/uploads/ | tr -d '\\r' | sed -n 's/^Location: //ip')
    case $location in *\\?*) join='&';; *) join='?';; esac
    curl -sf -X PUT -H 'Content-Type: application/octet-stream' --data-binary @${quote(file)} "$location\${join}digest=${digest}"`);
  return { digest, size: bytes.length };
}

function image(result: Record<string, unknown>): { kind: string; change: string; verified: string } {
  return (result['images'] as { kind: string; change: string; verified: string }[])[0]!;
}
