/** An honest file server, and the ways in which one may lie: each wraps what the honest one would answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Answer } from './http-server.ts';

export interface Offered {
  readonly content: Buffer;
  readonly etag?: string | undefined;
  readonly lastModified?: string | undefined;
  /** Default true. */
  readonly ranges?: boolean;
}

/** Bytes that look alike nowhere, the same for the same seed. */
export function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed * 2_654_435_761 + 1;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** RFC 9110 as far as a static file goes: validators, conditions, one range, If-Range. */
export function honest(offered: Offered): Answer {
  return (request, response) => sendFile(offered, request, response);
}

function sendFile(offered: Offered, request: IncomingMessage, response: ServerResponse): void {
  const { content, etag, lastModified, ranges = true } = offered;
  const { headers } = request;
  const validators = {
    ...(etag === undefined ? {} : { ETag: etag }),
    ...(lastModified === undefined ? {} : { 'Last-Modified': lastModified }),
    ...(ranges ? { 'Accept-Ranges': 'bytes' } : {}),
  };
  const unchanged =
    (etag !== undefined && headers['if-none-match'] === etag) ||
    (etag === undefined && lastModified !== undefined && headers['if-modified-since'] === lastModified);
  if (unchanged) return void response.writeHead(304, validators).end();
  const range = ranges ? askedRange(request) : undefined;
  const condition = headers['if-range'];
  if (range === undefined || (condition !== undefined && condition !== etag && condition !== lastModified))
    return void response
      .writeHead(200, { ...validators, 'Content-Length': content.length })
      .end(request.method === 'HEAD' ? undefined : content);
  const { start, end } = { start: range.start, end: Math.min(range.end ?? Infinity, content.length) };
  if (start >= end)
    return void response
      .writeHead(416, { ...validators, 'Content-Range': `bytes */${content.length}` })
      .end();
  response
    .writeHead(206, {
      ...validators,
      'Content-Range': `bytes ${start}-${end - 1}/${content.length}`,
      'Content-Length': end - start,
    })
    .end(content.subarray(start, end));
}

/** `end` is exclusive. */
export function askedRange(
  request: IncomingMessage,
): { readonly start: number; readonly end: number | undefined } | undefined {
  const found = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  if (found === null) return undefined;
  return { start: Number(found[1]), end: found[2] === '' ? undefined : Number(found[2]) + 1 };
}

/** Promises all of the file, sends `bytes` of it and ends the connection (`reset`: with a reset). */
export function cutShort(
  offered: Offered,
  bytes: number,
  options: { readonly reset?: boolean } = {},
): Answer {
  return (request, response) => {
    const { content, etag } = offered;
    const range = askedRange(request);
    const { start, end } = {
      start: range?.start ?? 0,
      end: Math.min(range?.end ?? Infinity, content.length),
    };
    const headers = {
      'Content-Length': end - start,
      'Accept-Ranges': 'bytes',
      ...(etag === undefined ? {} : { ETag: etag }),
      ...(range === undefined ? {} : { 'Content-Range': `bytes ${start}-${end - 1}/${content.length}` }),
    };
    response.writeHead(range === undefined ? 200 : 206, headers);
    response.flushHeaders();
    const socket = request.socket;
    response.write(content.subarray(start, Math.min(end, start + bytes)), () =>
      options.reset === true ? socket.resetAndDestroy() : socket.destroySoon(),
    );
    if (bytes === 0) setTimeout(() => socket.destroy(), 5);
  };
}

/** Answers the first request in one way, the second in the next, all later ones in the last. */
export function inTurn(...answers: readonly Answer[]): Answer {
  return (request, response, count) =>
    answers[Math.min(count, answers.length) - 1]!(request, response, count);
}
