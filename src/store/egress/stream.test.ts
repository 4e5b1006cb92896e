import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { sha256 } from '../../core/digest.ts';
import { isCellarError } from '../../core/errors.ts';
import { objectFile } from '../layout.ts';
import { openStore, type Store } from '../store.ts';
import type { StreamedObject } from './layout.ts';
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
  const segments = egress.segments(object, size);
  assert.deepEqual(segments, []);
  await assert.rejects(
    async () => {
      for await (const chunk of egress.stream([Buffer.from('head'), { object, size, segments }])) void chunk;
    },
    (error) => isCellarError(error, 'E_OBJECT_DAMAGED'),
  );
});

test('the parts come one after another, wherever slots begin', async () => {
  using store = openStore(join(directory, 'parts'), { create: true });
  const objects = [1, 300_000, 3 << 20, 70_000, 2 << 20, 900_000, 5].map((size, at) => keep(store, size, at));
  const parts = objects.flatMap((part, at) => [Buffer.alloc(512, at), part, Buffer.alloc(at * 300_000, 'z')]);
  const wanted = Buffer.concat(
    parts.map((part) => (Buffer.isBuffer(part) ? part : readFileSync(objectFile(store.root, part.object)))),
  );
  await using egress = openEgress(store);
  const chunks: Buffer[] = [];
  for await (const { bytes } of egress.stream(parts)) chunks.push(Buffer.from(bytes));
  assert.ok(Buffer.concat(chunks).equals(wanted));
});

test('packed, every chunk is a frame of zstd', async () => {
  using store = openStore(join(directory, 'packed'), { create: true });
  const noise = keep(store, randomBytes(5_000_000));
  const parts = [Buffer.alloc(512), noise, keep(store, 3, 4), keep(store, 900_000, 5)];
  const wanted = Buffer.concat([
    Buffer.alloc(512),
    ...parts.slice(1).map((part) => readFileSync(objectFile(store.root, (part as StreamedObject).object))),
  ]);
  const pack = async (): Promise<Buffer> => {
    await using egress = openEgress(store, { zstd: 3 });
    const chunks: Buffer[] = [];
    for await (const { bytes, size } of egress.stream(parts)) {
      assert.equal(zstdDecompressSync(bytes).length, size);
      chunks.push(Buffer.from(bytes));
    }
    return Buffer.concat(chunks);
  };
  const packed = await pack();
  assert.ok(zstdDecompressSync(packed).equals(wanted));
  assert.ok((await pack()).equals(packed));
});

test('a damaged object is an error, whole in a slot or in two', async () => {
  using store = openStore(join(directory, 'wrong'), { create: true });
  const damaged = keep(store, 100_000, 2);
  writeFileSync(objectFile(store.root, damaged.object), Buffer.alloc(100_000, 'x'));
  await using egress = openEgress(store);
  for (const before of [0, (1 << 20) - 50_000]) {
    await assert.rejects(
      async () => {
        for await (const chunk of egress.stream([Buffer.alloc(before), damaged])) void chunk;
      },
      (error) => isCellarError(error, 'E_OBJECT_DAMAGED'),
    );
  }
});

function keep(store: Store, given: Buffer | number, fill = 0): StreamedObject {
  const content = Buffer.isBuffer(given) ? given : Buffer.alloc(given, `${fill} and more`);
  const object = sha256(content);
  mkdirSync(dirname(objectFile(store.root, object)), { recursive: true });
  writeFileSync(objectFile(store.root, object), content);
  return { object, size: content.length };
}
