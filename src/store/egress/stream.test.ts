import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
  const segments = (await egress.segments([{ object, size }])).get(object);
  assert.deepEqual(segments, []);
  await assert.rejects(
    async () => {
      for await (const chunk of egress.stream([Buffer.from('head'), { object, size, segments }])) void chunk;
    },
    (error) => isCellarError(error, 'E_OBJECT_DAMAGED'),
  );
});

test('streamed or written in place, the parts come one after another', async () => {
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

  const output = join(directory, 'out');
  const fd = openSync(output, 'w+');
  let bytes = 0;
  for await (const count of egress.copyTo(fd, parts)) bytes += count;
  closeSync(fd);
  assert.equal(bytes, wanted.length);
  assert.ok(readFileSync(output).equals(wanted));
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

test('written in place: a damaged object and an output that cannot be written are errors', async () => {
  using store = openStore(join(directory, 'wrong'), { create: true });
  const [whole, damaged] = [keep(store, 5 << 20, 1), keep(store, 100, 2)];
  writeFileSync(objectFile(store.root, damaged.object), Buffer.alloc(100, 'x'));
  const output = join(directory, 'refused');
  const copy = async (fd: number, part: typeof whole): Promise<void> => {
    await using egress = openEgress(store);
    for await (const count of egress.copyTo(fd, [part])) void count;
  };
  const fd = openSync(output, 'w');
  await assert.rejects(copy(fd, damaged), (error) => isCellarError(error, 'E_OBJECT_DAMAGED'));
  closeSync(fd);
  assert.equal(readFileSync(output).length, 0);
  const readOnly = openSync(output, 'r');
  await assert.rejects(copy(readOnly, whole), { code: 'EBADF', syscall: 'write' });
  closeSync(readOnly);
});

function keep(store: Store, given: Buffer | number, fill = 0): StreamedObject {
  const content = Buffer.isBuffer(given) ? given : Buffer.alloc(given, `${fill} and more`);
  const object = sha256(content);
  mkdirSync(dirname(objectFile(store.root, object)), { recursive: true });
  writeFileSync(objectFile(store.root, object), content);
  return { object, size: content.length };
}
