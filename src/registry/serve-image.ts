/**
 * One image behind a registry's read-only interface, on this machine and for as long as a runtime pulls it: runtimes
 * know what they lack and fetch only that. Source: OCI distribution-spec, "Pull".
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isDigest, type Digest } from '../core/digest.ts';
import { drained } from '../sys/drained.ts';

export interface ImageToServe {
  readonly manifest: Buffer;
  readonly digest: Digest;
  readonly mediaType: string;
  /** Configuration and layers, from their first byte, hashed while they are read. Chunks are valid until the next. */
  readonly blobs: ReadonlyMap<Digest, { readonly size: number; readonly read: () => AsyncIterable<Buffer> }>;
}

export interface ImageServer extends AsyncDisposable {
  /** `127.0.0.1:port/…`, without a tag; every tag names the image. Who does not know it finds nothing. */
  readonly repository: string;
  /** Of blobs, so far. */
  readonly served: { readonly count: number; readonly bytes: number };
  /** Aborted when a blob cannot be read, with the reason: the client only sees that it got less, and may ask for ever. */
  readonly failed: AbortSignal;
}

/** Listens on 127.0.0.1. @param name last part of the repository */
export async function serveImage(image: ImageToServe, name: string): Promise<ImageServer> {
  const path = `${randomBytes(16).toString('hex')}/${name}`;
  const served = { count: 0, bytes: 0 };
  const failure = new AbortController();
  const server = createServer((request, response) => {
    answer(image, { path, served, request, response }).catch((error: unknown) => {
      failure.abort(error);
      response.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    repository: `127.0.0.1:${port}/${path}`,
    served,
    failed: failure.signal,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

interface Exchange {
  readonly path: string;
  readonly served: { count: number; bytes: number };
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

async function answer(image: ImageToServe, exchange: Exchange): Promise<void> {
  const { path, request, response } = exchange;
  const { method, url = '' } = request;
  response.setHeader('Docker-Distribution-API-Version', 'registry/2.0');
  if (method !== 'GET' && method !== 'HEAD') return refuse(response, 405, 'UNSUPPORTED');
  const [wanted = ''] = url.split('?');
  if (wanted === '/v2/' || wanted === '/v2') return void response.end('{}');
  const prefix = `/v2/${path}/`;
  if (!wanted.startsWith(prefix)) return refuse(response, 404, 'NAME_UNKNOWN');
  const [kind, name = ''] = wanted.slice(prefix.length).split('/');
  const digest = name.startsWith('sha256:') ? name.slice('sha256:'.length) : undefined;
  if (kind === 'manifests') {
    if (digest !== undefined && digest !== image.digest) return refuse(response, 404, 'MANIFEST_UNKNOWN');
    describe(response, { type: image.mediaType, digest: image.digest, size: image.manifest.length });
    return void response.end(method === 'HEAD' ? undefined : image.manifest);
  }
  if (kind !== 'blobs' || digest === undefined || !isDigest(digest) || !image.blobs.has(digest))
    return refuse(response, 404, 'BLOB_UNKNOWN');
  await sendBlob(image, digest, exchange);
}

async function sendBlob(
  { blobs }: ImageToServe,
  digest: Digest,
  { served, request, response }: Exchange,
): Promise<void> {
  const { size, read } = blobs.get(digest)!;
  const range = rangeOf(request.headers.range, size);
  if (range === 'beyond') {
    response.setHeader('Content-Range', `bytes */${size}`);
    return refuse(response, 416, 'RANGE_INVALID');
  }
  const { from, to } = range ?? { from: 0, to: size };
  response.setHeader('Accept-Ranges', 'bytes');
  if (range !== undefined) {
    response.statusCode = 206;
    response.setHeader('Content-Range', `bytes ${from}-${to - 1}/${size}`);
  }
  describe(response, { type: 'application/octet-stream', digest, size: to - from });
  if (request.method === 'HEAD') return void response.end();
  served.count++;
  let at = 0;
  for await (const chunk of read()) {
    const part = chunk.subarray(Math.max(from - at, 0), Math.max(to - at, 0));
    at += chunk.length;
    if (part.length === 0) continue;
    served.bytes += part.length;
    // The chunk's memory is used again once the next one is asked for.
    if (!response.write(Buffer.from(part))) await drained(response);
    if (response.destroyed) return;
  }
  response.end();
}

/** One range of bytes; several, and other units, are passed over as the standard allows. Source: RFC 9110, 14. */
function rangeOf(
  header: string | undefined,
  size: number,
): { from: number; to: number } | 'beyond' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return undefined;
  const [first, last] = [match[1]!, match[2]!];
  const from = first === '' ? Math.max(size - Number(last), 0) : Number(first);
  const to = first === '' || last === '' ? size : Math.min(Number(last) + 1, size);
  if (first !== '' && last !== '' && Number(last) < from) return undefined;
  return from >= size ? 'beyond' : { from, to };
}

function describe(
  response: ServerResponse,
  { type, digest, size }: { type: string; digest: Digest; size: number },
): void {
  response.setHeader('Content-Type', type);
  response.setHeader('Content-Length', size);
  response.setHeader('Docker-Content-Digest', `sha256:${digest}`);
  response.setHeader('ETag', `"sha256:${digest}"`);
}

/** In the form that the specification gives to errors. */
function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify({ errors: [{ code, message: code.toLowerCase().replaceAll('_', ' ') }] }));
}
