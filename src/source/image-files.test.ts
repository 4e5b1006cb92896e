import assert from 'node:assert/strict';
import { readlinkSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { makeScratch } from '../../test/support/scratch.ts';
import { archive, file } from '../../test/support/tar-builder.ts';
import { openArchive, readRange } from './image-files.ts';

test('the members of an archive are found; looking for them can be cancelled', async () => {
  using scratch = makeScratch('image-files');
  const path = `${scratch.path}/a.tar`;
  writeFileSync(path, archive(file('large', Buffer.alloc(300_000, 'x')), file('small', 'content')));
  const controller = new AbortController();
  const options = { location: `oci-archive:${path}`, signal: controller.signal };
  using files = await openArchive(path, options);
  assert.equal(readRange(files.find('small')!, 100)?.toString(), 'content');
  assert.equal(readRange(files.find('large')!, 100), undefined);
  assert.equal(files.find('other'), undefined);
  setImmediate(() => controller.abort());
  await assert.rejects(openArchive(path, options), { code: 'E_CANCELLED' });
});

test('a packed one is unpacked on a disk, or where TMPDIR says, into a file that has no name', async () => {
  using scratch = makeScratch('image-files');
  const path = `${scratch.path}/a.tar.gz`;
  writeFileSync(path, gzipSync(archive(file('small', 'content'))));
  const { TMPDIR } = process.env;
  try {
    for (const [set, where] of [
      [undefined, '/var/tmp'],
      ['', '/var/tmp'],
      [scratch.path, scratch.path],
    ] as const) {
      if (set === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = set;
      const { signal } = new AbortController();
      using files = await openArchive(path, { location: `docker-archive:${path}`, signal });
      const found = files.find('small')!;
      assert.equal(readRange(found, 100)?.toString(), 'content');
      assert.match(
        readlinkSync(found.path),
        new RegExp(`^${where}/cellar-image-\\w+/archive.tar \\(deleted\\)$`),
      );
    }
  } finally {
    if (TMPDIR === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = TMPDIR;
  }
});
