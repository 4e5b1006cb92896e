import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { sha256 } from '../../core/digest.ts';
import { isCellarError } from '../../core/errors.ts';
import { objectFile } from '../layout.ts';
import { openStore } from '../store.ts';
import { openEgress } from './stream.ts';

const directory = mkdtempSync(join(tmpdir(), 'cellar-egress-'));
after(() => rmSync(directory, { recursive: true, force: true }));

test('an object whose data has turned to zeros is not taken for a hole', async () => {
  using store = openStore(join(directory, 'store'), { create: true });
  const size = 2 << 20;
  const object = sha256(Buffer.alloc(size, 1));
  const file = objectFile(store.root, object);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, Buffer.alloc(size));
  await using egress = openEgress(store);
  const segments = (await egress.segments([{ object, size }])).get(object);
  assert.deepEqual(segments, []);
  await assert.rejects(
    async () => {
      for await (const chunk of egress.stream([Buffer.from('head'), { object, size, segments }])) void chunk;
    },
    (error) => isCellarError(error, 'E_OBJECT_DAMAGED'),
  );
});
