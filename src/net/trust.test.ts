import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { serve } from '../../test/support/http-server.ts';
import { needs, sh } from '../../test/support/run.ts';
import { makeScratch } from '../../test/support/scratch.ts';
import { ignoreEvents } from '../core/events.ts';
import { createHttpClient } from './http-client.ts';
import type { HttpOptions } from './port.ts';

const skip = needs({ programs: ['openssl'] });
const never = new AbortController().signal;

/** An authority, a server's certificate by it for 127.0.0.1, and a client's. */
async function certificates(directory: string): Promise<void> {
  await sh(
    `cd "$DIR"
     key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
     openssl req -x509 $key -keyout ca.key -out ca.pem -subj /CN=test-ca -days 2
     for name in server client; do
       openssl req $key -keyout $name.key -out $name.csr -subj /CN=$name
       printf 'subjectAltName=IP:127.0.0.1\\n' > ext
       openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out $name.pem -days 2 -extfile ext
     done`,
    { env: { DIR: directory } },
  );
}

async function get(url: string, options: HttpOptions): Promise<string | undefined> {
  await using client = createHttpClient(
    { retries: 0, ...options },
    { events: ignoreEvents, environment: {} },
  );
  return (await client.small(url, { signal: never }))?.bytes.toString();
}

test('TLS: an own authority, a client certificate, a proxy', { skip }, async (t) => {
  using scratch = makeScratch('tls');
  await certificates(scratch.path);
  const file = (name: string): string => join(scratch.path, name);
  const read = (name: string): string => readFileSync(file(name), 'utf8');
  await using plain = await serve((_, response) => response.end('plain'));
  await using other = await serve(
    (request, response) => {
      const { subject } = (request.socket as TLSSocket).getPeerCertificate();
      response.end(String(subject?.CN));
    },
    {
      tls: {
        ...{ key: read('server.key'), cert: read('server.pem'), ca: read('ca.pem') },
        ...{ requestCert: true, rejectUnauthorized: false },
      },
    },
  );
  await using server = await serve(
    (request, response) => {
      if (request.url === '/down') return response.writeHead(302, { Location: plain.url }).end();
      if (request.url === '/away') return response.writeHead(302, { Location: other.url }).end();
      const { subject } = (request.socket as TLSSocket).getPeerCertificate();
      return response.end(String(subject?.CN));
    },
    {
      tls: {
        ...{ key: read('server.key'), cert: read('server.pem'), ca: read('ca.pem') },
        ...{ requestCert: true, rejectUnauthorized: false },
      },
    },
  );
  const ca = file('ca.pem');
  const certificate = { cert: file('client.pem'), key: file('client.key') };

  await t.test('an unknown authority is refused, and not asked again', async () => {
    await assert.rejects(get(server.url, { retries: 3 }), {
      code: 'E_HTTP_UNREACHABLE',
      message: /certificate/,
    });
  });

  await t.test('nor by what the environment tells other programs', async (part) => {
    part.after(() => delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']);
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    await assert.rejects(get(server.url, { retries: 0 }), { code: 'E_HTTP_UNREACHABLE' });
  });

  await t.test('the configured one is trusted', async () => {
    assert.equal(await get(server.url, { ca }), 'undefined');
    await assert.rejects(get(server.url.replace('127.0.0.1', 'localhost'), { ca }), {
      code: 'E_HTTP_UNREACHABLE',
      message: /certificate/,
    });
  });

  await t.test('the client certificate is shown to the origin that was asked, and to no other', async () => {
    assert.equal(await get(server.url, { ca, certificate }), 'client');
    assert.equal(await get(`${server.url}/away`, { ca, certificate }), 'undefined');
  });

  await t.test('https never leads to http', async () => {
    await assert.rejects(get(`${server.url}/down`, { ca }), { code: 'E_HTTP_REDIRECT' });
    assert.equal(plain.requests.length, 0);
  });

  await t.test('through a proxy, in a tunnel', async () => {
    await using proxy = await serve((_, response) => response.end('not in a tunnel'), {
      connect(request, socket, head) {
        if (request.headers['proxy-authorization'] === undefined)
          return void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
        const [host = '', port] = (request.url ?? '').split(':');
        const out = connect(Number(port), host, () => {
          socket.write('HTTP/1.1 200 OK\r\n\r\n');
          out.write(head);
          socket.pipe(out).pipe(socket);
        });
        for (const end of [socket, out]) end.on('error', () => undefined);
      },
    });
    const named = proxy.url.replace('//', '//u:p@');
    assert.equal(await get(server.url, { ca, certificate, proxy: named }), 'client');
    assert.equal(proxy.requests[0]?.path, `127.0.0.1:${server.port}`);
    await assert.rejects(get(server.url, { ca, proxy: proxy.url }), { code: 'E_AUTHENTICATION' });
  });

  await t.test('files that are no certificates', async () => {
    writeFileSync(file('empty.pem'), '');
    writeFileSync(file('odd.pem'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    await assert.rejects(get(server.url, { ca: file('none.pem') }), { code: 'E_IO' });
    await assert.rejects(get(server.url, { ca: file('empty.pem') }), { code: 'E_USAGE' });
    await assert.rejects(get(server.url, { ca: file('odd.pem') }), { code: 'E_USAGE' });
    const swapped = { cert: certificate.cert, key: file('server.key') };
    await assert.rejects(get(server.url, { ca, certificate: swapped }), { code: 'E_USAGE' });
  });
});
