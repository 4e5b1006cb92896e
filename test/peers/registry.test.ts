/** Debian's docker-registry, filled by umoci and skopeo: what we read from it is what skopeo reads, byte for byte. */
import assert from 'node:assert/strict';
import { createServer, request as forward, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sha256 } from '../../src/core/digest.ts';
import { isCellarError } from '../../src/core/errors.ts';
import { ignoreEvents } from '../../src/core/events.ts';
import { createHttpClient } from '../../src/net/http-client.ts';
import type { HttpOptions } from '../../src/net/port.ts';
import { ociDriver } from '../../src/source/oci.ts';
import type { Offer, Part, Query } from '../../src/source/port.ts';
import { gather } from '../support/packers.ts';
import { pushImage, startRegistry, type RegistryPeer } from '../support/registry.ts';
import { needs, quote, sh } from '../support/run.ts';
import { makeScratch } from '../support/scratch.ts';

const skip = needs({ programs: ['docker-registry', 'skopeo', 'umoci', 'htpasswd'] });
const user = { name: 'reader', password: 'p:ss "word"' };
const credentials = { username: user.name, password: user.password };
const indexType = 'application/vnd.oci.image.index.v1+json';

const scratch = makeScratch('registry');
// What is stored on this machine is not asked.
process.env['REGISTRY_AUTH_FILE'] = join(scratch.path, 'none.json');
let open: RegistryPeer;
let closed: RegistryPeer;

before(async () => {
  if (skip !== false) return;
  open = await startRegistry(join(scratch.path, 'open'));
  closed = await startRegistry(join(scratch.path, 'closed'), user);
  for (const architecture of ['amd64', 'arm64'])
    await pushImage(scratch.path, {
      to: `${open.host}/lab/multi:${architecture}`,
      architecture,
      content: `for ${architecture}`,
    });
  await putIndex('lab/multi', ['amd64', 'arm64']);
  await pushImage(scratch.path, {
    to: `${open.host}/docker:v1`,
    architecture: 'amd64',
    content: 'x',
    format: 'v2s2',
  });
  await pushImage(scratch.path, {
    to: `${closed.host}/private:v1`,
    architecture: 'amd64',
    content: 'private',
    credentials: `${user.name}:${user.password}`,
  });
});

after(async () => {
  await open?.[Symbol.asyncDispose]();
  await closed?.[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

for (const [name, platform] of [
  ['lab/multi:amd64', 'linux/amd64'],
  ['lab/multi:arm64', 'linux/arm64'],
  ['docker:v1', 'linux/amd64'],
] as const)
  test(`${name}: the manifest is what skopeo reads, its blobs are what it says`, { skip }, async () => {
    await using session = connect(open.host, name);
    const [offer] = await session.look({ platforms: [platform] });
    const raw = await inspect(`${open.host}/${name}`);
    assert.deepEqual(bytesOf(contentOf(offer!)), raw);
    assert.equal(offer!.revision, `sha256:${sha256(raw)}`);
    assert.equal(offer!.labels['org.opencontainers.image.title'], 'peer');
    const { config, layers } = JSON.parse(raw.toString()) as { config: Listed; layers: Listed[] };
    for (const { digest, size } of [config, ...layers]) {
      const part = offer!.parts.find((other) => `sha256:${other.sha256}` === digest)!;
      assert.equal(part.size, size);
      assert.equal(`sha256:${sha256(await session.read(part))}`, digest);
    }
    const [pinned] = await connect(open.host, `${name.split(':')[0]}@sha256:${sha256(raw)}`).look({
      platforms: [platform],
    });
    assert.deepEqual(bytesOf(contentOf(pinned!)), raw);
    const [again] = await session.look({ platforms: [platform], known: [offer!] });
    assert.equal(again!.unchanged, true);
  });

test('an index: its platforms, and its bytes', { skip }, async () => {
  await using session = connect(open.host, 'lab/multi');
  const raw = await inspect(`${open.host}/lab/multi`);
  const offers = await session.look({ platforms: 'all' });
  assert.deepEqual(
    offers.map(({ platform }) => platform),
    ['linux/amd64', 'linux/arm64'],
  );
  for (const offer of offers) {
    assert.equal(offer.revision, `sha256:${sha256(raw)}`);
    assert.deepEqual(bytesOf(offer.parts.find(({ role }) => role === 'attachment')!), raw);
    const tag = offer.platform.split('/')[1];
    assert.deepEqual(bytesOf(contentOf(offer)), await inspect(`${open.host}/lab/multi:${tag}`));
  }
  await assert.rejects(session.look({ platforms: ['linux/s390x'] }), (error) =>
    isCellarError(error, 'E_PLATFORM_UNAVAILABLE'),
  );
});

test('a registry with a password: given with the source, or stored by skopeo', { skip }, async () => {
  const file = join(scratch.path, 'auth.json');
  await sh(
    `printf %s ${quote(user.password)} |
     skopeo login --authfile ${quote(file)} --tls-verify=false --username ${user.name} --password-stdin ${closed.host}`,
  );
  const before = process.env['REGISTRY_AUTH_FILE'];
  for (const [http, authFile] of [
    [{ credentials }, before],
    [{}, file],
  ] as const) {
    process.env['REGISTRY_AUTH_FILE'] = authFile;
    await using session = connect(closed.host, 'private:v1', http);
    const [offer] = await session.look();
    const raw = await inspect(`${closed.host}/private:v1`, `${user.name}:${user.password}`);
    assert.deepEqual(bytesOf(contentOf(offer!)), raw);
    for (const part of offer!.parts) assert.equal(sha256(await session.read(part)), part.sha256);
  }
  process.env['REGISTRY_AUTH_FILE'] = before;
  for (const http of [{}, { credentials: { ...credentials, password: 'wrong' } }])
    await assert.rejects(connect(closed.host, 'private:v1', http).look(), (error) =>
      isCellarError(error, 'E_AUTHENTICATION'),
    );
});

test('a registry behind a token server: anonymous and with a password', { skip }, async () => {
  await using gate = await startGate(open.host);
  await using session = connect(gate.host, 'lab/multi:amd64');
  const [offer] = await session.look();
  for (const part of offer!.parts) assert.equal(sha256(await session.read(part)), part.sha256);
  assert.deepEqual(gate.scopes, ['repository:lab/multi:pull']);
  gate.user = user;
  await assert.rejects(connect(gate.host, 'docker:v1').look(), (error) =>
    isCellarError(error, 'E_AUTHENTICATION'),
  );
  await using named = connect(gate.host, 'docker:v1', { credentials });
  assert.equal((await named.look()).length, 1);
});

test('a changed manifest or configuration is refused', { skip }, async () => {
  await using gate = await startGate(open.host);
  for (const kind of ['manifests', 'blobs'] as const) {
    gate.tamper = kind;
    await assert.rejects(connect(gate.host, 'lab/multi:amd64').look(), (error) =>
      isCellarError(error, 'E_CHECKSUM_MISMATCH'),
    );
  }
});

interface Listed {
  readonly digest: string;
  readonly size: number;
}

function connect(host: string, name: string, http: HttpOptions = {}) {
  const { signal } = new AbortController();
  const client = createHttpClient({ retries: 0, ...http }, { events: ignoreEvents });
  const source = ociDriver.open(`docker://${host}/${name}`, { mirrors: [], http });
  return {
    look: async (query: Partial<Query> = {}): Promise<Offer[]> =>
      await source.look({ platforms: ['linux/amd64'], known: [], ...query }, { client, signal }),
    async read({ from }: Part): Promise<Buffer> {
      if (from.type === 'bytes') return from.bytes;
      assert.ok(from.type === 'http' && from.client !== undefined);
      const response = await from.client.open(from.urls[0]!, { signal });
      return await gather(response.body);
    },
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
    },
  };
}

async function inspect(name: string, creds?: string): Promise<Buffer> {
  const option = creds === undefined ? '' : `--creds ${quote(creds)}`;
  return Buffer.from(await sh(`skopeo inspect --raw --tls-verify=false ${option} docker://${name}`));
}

async function putIndex(name: string, tags: readonly string[]): Promise<void> {
  const manifests = await Promise.all(
    tags.map(async (architecture) => {
      const raw = await inspect(`${open.host}/${name}:${architecture}`);
      return {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: `sha256:${sha256(raw)}`,
        size: raw.length,
        platform: { os: 'linux', architecture },
      };
    }),
  );
  const response = await fetch(`http://${open.host}/v2/${name}/manifests/latest`, {
    method: 'PUT',
    headers: { 'content-type': indexType },
    body: JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests }, null, 2),
  });
  assert.equal(response.status, 201);
}

function contentOf({ parts }: Offer): Part {
  return parts.find(({ role }) => role === 'content')!;
}

function bytesOf({ from }: Part): Buffer {
  assert.ok(from.type === 'bytes');
  return from.bytes;
}

interface Gate extends AsyncDisposable {
  readonly host: string;
  /** Of the tokens that were given. */
  readonly scopes: string[];
  user?: { readonly name: string; readonly password: string };
  /** Answers to these lose a byte's truth. */
  tamper?: 'manifests' | 'blobs';
}

/** A registry behind tokens: gives them, and passes on what comes with one. */
async function startGate(registry: string): Promise<Gate> {
  const state: Pick<Gate, 'scopes' | 'user' | 'tamper'> = { scopes: [] };
  const server = createServer((incoming, response) => {
    const { pathname, searchParams } = new URL(incoming.url!, 'http://gate.invalid');
    if (pathname === '/token') {
      if (!isUser(incoming, state.user)) return void response.writeHead(401).end();
      state.scopes.push(searchParams.get('scope')!);
      return void response.end(JSON.stringify({ token: searchParams.get('scope'), expires_in: 300 }));
    }
    const scope = `repository:${/^\/v2\/(.+)\/(?:manifests|blobs|referrers)\//.exec(pathname)?.[1]}:pull`;
    if (incoming.headers.authorization !== `Bearer ${scope}`) {
      const realm = `http://${incoming.headers.host}/token`;
      const challenge = `Bearer realm="${realm}",service="gate",scope="${scope}"`;
      return void response.writeHead(401, { 'www-authenticate': challenge }).end();
    }
    const { authorization: _, ...headers } = incoming.headers;
    const passed = forward(
      `http://${registry}${incoming.url}`,
      { method: incoming.method, headers },
      (answer) => {
        response.writeHead(answer.statusCode!, answer.headers);
        let isFirst =
          state.tamper !== undefined && incoming.method === 'GET' && pathname.includes(state.tamper);
        answer.on('data', (chunk: Buffer) => {
          if (isFirst) chunk[0]! ^= 1;
          isFirst = false;
          response.write(chunk);
        });
        answer.on('end', () => response.end());
      },
    );
    passed.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(state, {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

function isUser({ headers }: IncomingMessage, wanted: Gate['user']): boolean {
  if (wanted === undefined) return true;
  const { name, password } = wanted;
  return headers.authorization === `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
}
