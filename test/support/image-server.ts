/** An upstream that serves files from memory as nginx would: ETags, conditions, ranges, HEAD. It remembers what was asked. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sha256 } from '../../src/core/digest.ts';

export interface ImageServer extends AsyncDisposable {
  /** Without a slash at its end. */
  readonly url: string;
  /** Content by path, with its query where there is one. */
  readonly files: Map<string, Buffer | string>;
  /** `METHOD path`, in the order they came, with the status that was answered. */
  readonly requests: { readonly line: string; readonly status: number }[];
  /** How it differs from a good server. */
  readonly manners: Manners;
}

export interface Manners {
  /** Answers HEAD with this status. */
  headStatus?: number;
  /** Default `strong`. `date` sends Last-Modified, `weak` both, `none` nothing. */
  validators?: 'strong' | 'weak' | 'date' | 'none';
  /** Answers everything with this status. */
  status?: number;
  lastModified?: string;
}

export async function startImageServer(files: Record<string, Buffer | string> = {}): Promise<ImageServer> {
  const state = {
    files: new Map(Object.entries(files)),
    requests: [] as ImageServer['requests'],
    manners: {},
  };
  const server = createServer((request, response) => answer(request, response, state));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    ...state,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { files, requests, manners }: Pick<ImageServer, 'files' | 'requests' | 'manners'>,
): void {
  // Clients of image servers double slashes.
  const path = request.url!.replace(/\/{2,}/g, '/');
  const end = (status: number, headers: Record<string, string | number> = {}, body?: Buffer): void => {
    requests.push({ line: `${request.method} ${path}`, status });
    response.writeHead(status, headers).end(request.method === 'HEAD' ? undefined : body);
  };
  if (manners.status !== undefined) return end(manners.status);
  if (request.method === 'HEAD' && manners.headStatus !== undefined) return end(manners.headStatus);
  const file = files.get(path);
  if (file === undefined) return end(404);
  const body = Buffer.from(file);
  const headers = validators(body, manners);
  if (isKnown(request, headers)) return end(304, headers);
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  if (range === null) return end(200, { ...headers, 'content-length': body.length }, body);
  const from = Number(range[1]);
  if (from >= body.length) return end(416, { 'content-range': `bytes */${body.length}` });
  const part = body.subarray(from, range[2] === '' ? body.length : Number(range[2]) + 1);
  const place = `bytes ${from}-${from + part.length - 1}/${body.length}`;
  end(206, { ...headers, 'content-length': part.length, 'content-range': place }, part);
}

function validators(body: Buffer, manners: Manners): Record<string, string> {
  const kind = manners.validators ?? 'strong';
  const etag = `"${sha256(body).slice(0, 16)}"`;
  const date = { 'last-modified': manners.lastModified ?? 'Thu, 01 Jan 2026 00:00:00 GMT' };
  if (kind === 'none') return {};
  if (kind === 'date') return date;
  return { etag: kind === 'weak' ? `W/${etag}` : etag, ...date };
}

function isKnown({ headers }: IncomingMessage, sent: Record<string, string>): boolean {
  const etags = headers['if-none-match']?.split(/,\s*/);
  if (etags !== undefined) return sent['etag'] !== undefined && etags.includes(sent['etag']);
  const since = headers['if-modified-since'];
  const changed = sent['last-modified'];
  return since !== undefined && changed !== undefined && Date.parse(changed) <= Date.parse(since);
}
