/**
 * A server that sends without end and never says how much: the bound of the store ends that, with nothing left of it and
 * nothing lost for it.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { cellar, cellarOk } from '../support/cellar.ts';
import { serve } from '../support/http-server.ts';
import { makeScratch } from '../support/scratch.ts';
import { header } from '../support/tar-builder.ts';

for (const name of ['file', 'archive.tar'])
  test(`${name}: more than the store may take`, async () => {
    using scratch = makeScratch('endless');
    const store = join(scratch.path, 'store');
    const options = { store, cwd: scratch.path };
    writeFileSync(join(scratch.path, 'cellar.yaml'), 'store: { max-size: 8MiB }\n');
    writeFileSync(join(scratch.path, 'kept'), randomBytes(1 << 20));
    await cellarOk(['pull', join(scratch.path, 'kept'), 'kept', '--verify', 'no'], options);
    let sent = 0;
    await using server = await serve(({ method }, response) => {
      response.writeHead(200);
      if (method === 'HEAD') return response.end();
      return Readable.from(endless()).pipe(response);
    });
    function* endless(): Generator<Buffer> {
      if (name !== 'file') yield header({ name: 'large', size: 2 ** 32 });
      for (sent = 0; sent < 256 << 20; sent += 1 << 16) yield randomBytes(1 << 16);
    }
    const pull = ['pull', `${server.url}/${name}`, 'endless', '--verify', 'no'];
    const result = await cellar(pull, options);
    assert.equal(result.code, 13, result.stderr);
    assert.match(result.stderr, /E_STORE_FULL/);
    assert.ok(sent < 128 << 20, `${sent} bytes were sent`);
    assert.deepEqual(readdirSync(join(store, 'tmp')), []);
    assert.deepEqual(
      readdirSync(join(store, 'downloads')).filter((part) => part.endsWith('.part')),
      [],
    );
    const { images } = (await cellarOk(['ls'], options)) as { images: { reference: string }[] };
    assert.deepEqual(
      images.map(({ reference }) => reference),
      ['kept:latest'],
    );
  });
