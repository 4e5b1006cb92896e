/**
 * A small HTTP server of static files for demonstrations: `serve-directory.ts DIR` prints its URL and serves until it is
 * killed. It has validators and ranges, which is what pulls ask for.
 */
import { createReadStream, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';

const directory = process.argv[2] ?? '.';

const server = createServer(answer).listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});

function answer(request: IncomingMessage, response: ServerResponse): void {
  const file = join(directory, basename(new URL(request.url ?? '/', 'http://localhost').pathname));
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat?.isFile() !== true) return void response.writeHead(404).end();
  const etag = `"${stat.mtimeMs.toString(36)}-${stat.size}"`;
  const headers = { ETag: etag, 'Accept-Ranges': 'bytes', 'Last-Modified': stat.mtime.toUTCString() };
  if (request.headers['if-none-match'] === etag) return void response.writeHead(304, headers).end();
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const start = Number(range?.[1] ?? 0);
  const end = Math.min(range?.[2] ? Number(range[2]) : stat.size - 1, stat.size - 1);
  if (range !== null && start > end)
    return void response.writeHead(416, { 'Content-Range': `bytes */${stat.size}` }).end();
  response.writeHead(range === null ? 200 : 206, {
    ...headers,
    'Content-Length': end - start + 1,
    ...(range === null ? {} : { 'Content-Range': `bytes ${start}-${end}/${stat.size}` }),
  });
  if (request.method === 'HEAD' || stat.size === 0) response.end();
  else createReadStream(file, { start, end }).pipe(response);
}
