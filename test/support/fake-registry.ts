/**
 * A registry in memory, with a token server of its own: what a good one does, and each way in which one may differ.
 * It remembers what it was asked, and what it was shown.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sha256, type Digest } from '../../src/core/digest.ts';
import type { Platform } from '../../src/core/platform.ts';

export const ociManifest = 'application/vnd.oci.image.manifest.v1+json';
export const ociIndex = 'application/vnd.oci.image.index.v1+json';
export const ociConfig = 'application/vnd.oci.image.config.v1+json';
const ociLayer = 'application/vnd.oci.image.layer.v1.tar+gzip';

export interface FakeRegistry extends AsyncDisposable {
  /** `host:port`. */
  readonly host: string;
  /** Manifests by `name/tag` and `name/sha256:…`. */
  readonly manifests: Map<string, { readonly bytes: Buffer; readonly mediaType: string }>;
  /** Blobs by `name/sha256:…`. */
  readonly blobs: Map<string, Buffer>;
  readonly requests: { readonly line: string; readonly status: number; readonly authorization?: string }[];
  readonly manners: RegistryManners;
  put(name: string, image: PutImage): PutResult;
}

export interface RegistryManners {
  auth?: 'basic' | 'bearer';
  username?: string;
  password?: string;
  /** Asked for instead of the password, in exchange for a token. */
  identityToken?: string;
  /** Seconds that a token is good for; tells nothing when undefined. */
  tokenSeconds?: number;
  /** Of the token server, instead of its own. */
  realm?: string;
  /** Tokens given so far are refused from now on. */
  revoked?: boolean;
  /** Leaves out `Docker-Content-Digest`. */
  silent?: boolean;
  headStatus?: number;
  /** Blobs are elsewhere. */
  blobRedirect?: string;
  /** Answers `/referrers/`; without it the fall-back tag counts. */
  referrers?: boolean;
  /** Most referrers on a page. */
  page?: number;
}

export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  platform?: Record<string, string>;
  annotations?: Record<string, string>;
  artifactType?: string;
  urls?: string[];
}

export interface PutImage {
  readonly tag?: string;
  readonly platform?: Platform;
  readonly layers?: readonly (string | Buffer)[];
  /** Added to or put in place of what the manifest would have. */
  readonly manifest?: Record<string, unknown>;
  readonly labels?: Record<string, string>;
}

export interface PutResult {
  readonly digest: Digest;
  readonly bytes: Buffer;
  readonly descriptor: Descriptor;
}

export async function startFakeRegistry(manners: RegistryManners = {}): Promise<FakeRegistry> {
  const state: State = { manifests: new Map(), blobs: new Map(), requests: [], manners, tokens: new Set() };
  const server = createServer((request, response) => answer(state, request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    ...state,
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    put: (name, image) => putImage(state, name, image),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Any document as a manifest, by its digest and by `tag`. */
export function putManifest(
  registry: Pick<FakeRegistry, 'manifests'>,
  name: string,
  given: { document: unknown; mediaType: string; tag?: string | undefined },
): PutResult {
  const bytes = Buffer.from(
    typeof given.document === 'string' ? given.document : JSON.stringify(given.document, null, 3),
  );
  const { mediaType, tag } = given;
  const digest = sha256(bytes);
  registry.manifests.set(`${name}/sha256:${digest}`, { bytes, mediaType });
  if (tag !== undefined) registry.manifests.set(`${name}/${tag}`, { bytes, mediaType });
  return { digest, bytes, descriptor: { mediaType, digest: `sha256:${digest}`, size: bytes.length } };
}

export function putBlob(
  registry: Pick<FakeRegistry, 'blobs'>,
  name: string,
  { content, mediaType }: { content: string | Buffer; mediaType: string },
): Descriptor {
  const bytes = Buffer.from(content);
  const digest = `sha256:${sha256(bytes)}`;
  registry.blobs.set(`${name}/${digest}`, bytes);
  return { mediaType, digest, size: bytes.length };
}

interface State extends Pick<FakeRegistry, 'manifests' | 'blobs' | 'requests' | 'manners'> {
  readonly tokens: Set<string>;
}

function putImage(state: State, name: string, image: PutImage): PutResult {
  const { tag, platform = 'linux/amd64', layers = ['a layer'], labels } = image;
  const [os, architecture, variant] = platform.split('/');
  const content = JSON.stringify({ os, architecture, variant, config: { Labels: labels } });
  const document = {
    schemaVersion: 2,
    mediaType: ociManifest,
    config: putBlob(state, name, { content, mediaType: ociConfig }),
    layers: layers.map((layer) => putBlob(state, name, { content: layer, mediaType: ociLayer })),
    ...image.manifest,
  };
  const put = putManifest(state, name, { document, mediaType: ociManifest, tag });
  return {
    ...put,
    descriptor: {
      ...put.descriptor,
      platform: { os: os!, architecture: architecture!, ...(variant ? { variant } : {}) },
    },
  };
}

function answer(state: State, request: IncomingMessage, response: ServerResponse): void {
  const { manners, requests } = state;
  const { method, headers, url } = request;
  const { pathname, searchParams } = new URL(url!, 'http://registry.invalid');
  const end: End = (status, more = {}, body = '') => {
    const { authorization } = headers;
    requests.push({
      line: `${method} ${pathname}`,
      status,
      ...(authorization === undefined ? {} : { authorization }),
    });
    response.writeHead(status, more).end(method === 'HEAD' ? undefined : body);
  };
  if (pathname === '/token')
    return void giveToken(state, request, searchParams).then((given) => end(...given));
  if (!isLetIn(state, headers.authorization)) {
    const realm = manners.realm ?? `http://${headers.host}/token`;
    const [, name] = /^\/v2\/(.+)\/(?:manifests|blobs|referrers)\//.exec(pathname) ?? [];
    const bearer = `Bearer realm="${realm}",service="fake registry",scope="repository:${name}:pull"`;
    return end(401, {
      'www-authenticate': manners.auth === 'bearer' ? bearer : 'Basic realm="fake, \\"quoted\\""',
    });
  }
  const [, name, kind, reference] = /^\/v2\/(.+)\/(manifests|blobs|referrers)\/(.+)$/.exec(pathname) ?? [];
  const key = `${name}/${reference}`;
  if (kind === 'referrers' && manners.referrers === true)
    return referrers(
      state,
      { name: name!, digest: reference!, from: Number(searchParams.get('from') ?? 0) },
      end,
    );
  if (kind === 'blobs') {
    const blob = state.blobs.get(key);
    if (blob === undefined) return end(404);
    if (manners.blobRedirect !== undefined)
      return end(307, { location: `${manners.blobRedirect}${pathname}` });
    return end(200, { 'content-length': blob.length }, blob);
  }
  const manifest = kind === 'manifests' ? state.manifests.get(key) : undefined;
  if (manifest === undefined) return end(404, { 'content-type': 'text/plain' }, '404 page not found\n');
  if (method === 'HEAD' && manners.headStatus !== undefined) return end(manners.headStatus);
  end(
    200,
    {
      'content-type': manifest.mediaType,
      'content-length': manifest.bytes.length,
      ...(manners.silent === true ? {} : { 'docker-content-digest': `sha256:${sha256(manifest.bytes)}` }),
    },
    manifest.bytes,
  );
}

type End = (status: number, headers?: Record<string, string | number>, body?: Buffer | string) => void;

function isLetIn({ manners, tokens }: State, shown: string | undefined): boolean {
  const { auth, username, password } = manners;
  if (auth === undefined) return true;
  if (auth === 'basic') return shown === `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  if (manners.revoked === true) {
    tokens.clear();
    manners.revoked = false;
  }
  return tokens.has(shown?.replace(/^Bearer /, '') ?? '');
}

async function giveToken(
  { manners, tokens }: State,
  request: IncomingMessage,
  query: URLSearchParams,
): Promise<Parameters<End>> {
  const { username, password, identityToken, tokenSeconds } = manners;
  const form = new URLSearchParams(
    Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)).toString(),
  );
  const basic = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  const isRight =
    identityToken === undefined
      ? username === undefined || request.headers.authorization === basic
      : form.get('grant_type') === 'refresh_token' && form.get('refresh_token') === identityToken;
  const fields = request.method === 'POST' ? form : query;
  if (!isRight || fields.get('service') !== 'fake registry') return [401];
  const token = `token-${tokens.size}-${fields.get('scope')}`;
  tokens.add(token);
  const body = JSON.stringify({
    [identityToken === undefined ? 'token' : 'access_token']: token,
    expires_in: tokenSeconds,
  });
  return [200, { 'content-type': 'application/json' }, body];
}

function referrers(
  { manifests, manners }: State,
  { name, digest, from }: { name: string; digest: string; from: number },
  end: End,
): void {
  const all = [...manifests].flatMap(([key, { bytes, mediaType }]) => {
    const { subject, artifactType } = JSON.parse(bytes.toString()) as {
      subject?: { digest: string };
      artifactType?: string;
    };
    if (!key.startsWith(`${name}/sha256:`) || subject?.digest !== digest) return [];
    return [{ mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.length, artifactType }];
  });
  const { page = all.length } = manners;
  const next = from + page;
  const link =
    next < all.length ? { link: `</v2/${name}/referrers/${digest}?from=${next}>; rel="next"` } : {};
  const list = { schemaVersion: 2, mediaType: ociIndex, manifests: all.slice(from, next) };
  end(200, { 'content-type': ociIndex, ...link }, JSON.stringify(list));
}
