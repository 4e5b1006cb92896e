/** A mirror that listens for what is meant for the source: whatever a driver asks it, it gets no credentials of the source. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../src/core/digest.ts';
import { cellar } from '../support/cellar.ts';
import { serve, type TestServer } from '../support/http-server.ts';
import { makeScratch } from '../support/scratch.ts';
import { archive, file } from '../support/tar-builder.ts';

const tar = archive(file('name', 'content'));
const meta = archive(file('metadata.yaml', 'architecture: x86_64\n'));
const both = { platform: 'linux/amd64' };

/** What each kind of source is called at a server, and what a mirror of it holds. */
const kinds: Record<string, { at: (url: string) => string; files: Record<string, Buffer | string> }> = {
  http: { at: (url) => `${url}/a/root.tar`, files: { '/a/root.tar': tar } },
  latest: { at: (url) => `latest:${url}/a/?root\\.tar`, files: { '/a/root.tar': tar } },
  lxc: {
    at: (url) => `lxc+${url}/a/x/1/amd64`,
    files: {
      '/a/meta/1.0/index-system': 'x;1;amd64;default;20260101;/i\n',
      '/a/i/rootfs.tar.xz': tar,
      '/a/i/meta.tar.xz': meta,
      '/a/i/SHA256SUMS': `${sha256(tar)}  rootfs.tar.xz\n${sha256(meta)}  meta.tar.xz\n`,
    },
  },
  morph: { at: (url) => `morph:${url}/a#x.tar`, files: { '/a/1.0/artifacts?filename=x.tar': tar } },
};

for (const [name, { at, files }] of Object.entries(kinds))
  test(`${name}: the source is down`, async () => {
    using scratch = makeScratch('mirror-credentials');
    const options = {
      ...{ store: join(scratch.path, 'store'), cwd: scratch.path },
      env: { READER: 'hunter2' },
    };
    await using source = await serve((_, response) => response.writeHead(503).end());
    const all = new Map(Object.entries({ '/a/SHA256SUMS': `${sha256(tar)}  root.tar\n`, ...files }));
    await using mirror = await serve(({ method, url = '' }, response) => {
      const found = all.get(url.replace(/\/{2,}/g, '/'));
      if (found === undefined) return response.writeHead(404).end();
      response.writeHead(200, { 'content-length': Buffer.byteLength(found) });
      return response.end(method === 'HEAD' ? undefined : found);
    });
    writeFileSync(
      join(scratch.path, 'cellar.yaml'),
      JSON.stringify({
        images: {
          x: {
            ...{ source: at(source.url), mirrors: [`${mirror.url}/a/`], verify: 'no', retries: 0 },
            ...{ credentials: { username: 'reader', 'password-env': 'READER' }, ...both },
          },
        },
      }),
    );
    const run = await cellar(['sync', '--force'], options);
    assert.equal(run.code, 0, run.stderr);
    assert.ok(shown(source).every((header) => header !== undefined));
    assert.ok(mirror.requests.length > 1);
    assert.deepEqual(
      mirror.requests.filter(({ headers }) => headers.authorization !== undefined).map(({ path }) => path),
      [],
    );
  });

function shown({ requests }: TestServer): (string | undefined)[] {
  return requests.map(({ headers }) => headers.authorization);
}
