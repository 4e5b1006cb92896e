import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { isCellarError } from '../core/errors.ts';
import { createHttpClient } from './http-client.ts';
import { wireFailure } from './problems.ts';

test('too few descriptors are no problem of the server, and are not tried again', () => {
  const error = Object.assign(new Error('connect EMFILE 192.0.2.1:80 - Local (undefined:undefined)'), {
    ...{ code: 'EMFILE', errno: -24, syscall: 'connect' },
  });
  const url = 'http://reader:secret@192.0.2.1/x';
  const failure = wireFailure(error, { url, signal: new AbortController().signal, timedOut: undefined });
  assert.ok(isCellarError(failure, 'E_TOO_MANY_OPEN'));
  assert.doesNotMatch(JSON.stringify([failure, failure.message]), /secret/);
});

test('a server of plain HTTP is told from a refused certificate, and is not asked again', async () => {
  const server = createServer((_, response) => response.end()).listen(0, '127.0.0.1');
  try {
    await once(server, 'listening');
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/x`;
    await using http = createHttpClient({ retries: 3 }, { events: () => undefined });
    await assert.rejects(http.open(url, { signal: new AbortController().signal }), {
      code: 'E_HTTP_UNREACHABLE',
      details: { url, problem: 'what answers there speaks no TLS' },
    });
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
