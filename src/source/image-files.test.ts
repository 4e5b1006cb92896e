import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
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
