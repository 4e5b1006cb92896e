import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gather, inPieces, packWith, sampleBytes, skipWithout } from '../../../test/support/packers.ts';
import { noise } from '../../../test/support/lying-server.ts';
import { canCallZstd } from '../../sys/libzstd.ts';
import { decompressInto } from './decompress-into.ts';
import type { Room } from './unpack-thread.ts';

const skip = canCallZstd() ? skipWithout('zstd') : 'this Node does not show its zstd library';
const source = 'a.tar';
const { signal } = new AbortController();
/** Packed 3 MiB or more: enough for a thread. */
const content = Buffer.concat([noise(2 << 20), sampleBytes(1 << 20), noise(1 << 20, 2)]);
const roomBytes = 300_000;

interface Rooms {
  readonly give: () => Promise<Room>;
  given: number;
}

function rooms(bytes = roomBytes): Rooms {
  const all: Rooms = {
    given: 0,
    async give() {
      all.given++;
      return { bytes: Buffer.from(new SharedArrayBuffer(bytes)) };
    },
  };
  return all;
}

async function* bytesOf(filled: AsyncIterable<Room>): AsyncGenerator<Buffer> {
  for await (const { bytes } of filled) yield bytes;
}

async function unpack(packed: AsyncIterable<Uint8Array>, given = rooms()): Promise<Buffer> {
  return await gather(bytesOf(decompressInto(packed, given.give, { source, signal })));
}

/** Node names its threads. */
function threads(): number {
  return readdirSync('/proc/self/task').filter(
    (id) => readFileSync(`/proc/self/task/${id}/comm`, 'utf8') === 'WorkerThread\n',
  ).length;
}

test('in pieces and rooms of any size; every room comes back', { skip }, async () => {
  const packed = packWith('zstd', content);
  assert.ok(packed.length > 2 << 20);
  for (const [piece, room] of [
    [65_536, roomBytes],
    [Infinity, 1 << 20],
    [999_983, content.length],
    [3 << 20, content.length + 1],
    [1 << 20, 4_096],
  ] as const) {
    const given = rooms(room);
    let back = 0;
    const chunks: Buffer[] = [];
    for await (const { bytes } of decompressInto(inPieces(packed, piece), given.give, { source, signal })) {
      back++;
      chunks.push(Buffer.from(bytes));
    }
    assert.ok(Buffer.concat(chunks).equals(content), `${piece} into ${room}`);
    assert.equal(back, given.given);
  }
  assert.equal(threads(), 0);
});

test('frames after one another, also such as are passed over', { skip }, async () => {
  const packed = packWith('zstd', content);
  const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);
  const found = await unpack(inPieces(Buffer.concat([skippable, packed, skippable, packed, skippable])));
  assert.ok(found.equals(Buffer.concat([content, content])));
});

test('cut anywhere, changed anywhere, or with something behind it', { skip }, async () => {
  const packed = packWith('zstd', content, ['--check']);
  for (let end = (1 << 20) + 1; end < packed.length; end += 617_645)
    await assert.rejects(unpack(inPieces(packed.subarray(0, end), 1 << 20)), {
      code: 'E_ARCHIVE_TRUNCATED',
      details: { source, offset: end, problem: 'the packed data ends too early' },
    });
  for (let at = 7; at < packed.length; at += 617_645) {
    const changed = Buffer.from(packed);
    changed[at]! ^= 0x10;
    await assert.rejects(unpack(inPieces(changed)), { code: 'E_ARCHIVE_CORRUPT' }, `at ${at}`);
  }
  const more = unpack(inPieces(Buffer.concat([packed, Buffer.from('something else')])));
  await assert.rejects(more, { code: 'E_ARCHIVE_CORRUPT' });
  assert.equal(threads(), 0);
});

test('the input, a room or the consumer fails: that is told, and the thread is gone', { skip }, async () => {
  const packed = packWith('zstd', content);
  const unplugged = async function* (): AsyncGenerator<Buffer> {
    yield* inPieces(packed.subarray(0, 2 << 20), 65_536);
    throw new Error('unplugged');
  };
  await assert.rejects(unpack(unplugged()), /unplugged/);
  let left = 3;
  const few = { ...rooms(), give: () => (left-- > 0 ? rooms().give() : Promise.reject(new Error('full'))) };
  await assert.rejects(unpack(inPieces(packed), few), /full/);
  let isClosed = false;
  const watched = async function* (): AsyncGenerator<Buffer> {
    try {
      yield* inPieces(packed, 65_536);
    } finally {
      isClosed = true;
    }
  };
  for await (const _ of decompressInto(watched(), rooms().give, { source, signal })) break;
  assert.ok(isClosed);
  assert.equal(threads(), 0);
});

test('cancelled while the input is silent, and while no room comes', { skip }, async () => {
  const packed = packWith('zstd', content);
  const silent = async function* (): AsyncGenerator<Buffer> {
    yield* inPieces(packed.subarray(0, 2 << 20), 65_536);
    await new Promise<never>(() => undefined);
  };
  const never = async (): Promise<Room> => await new Promise<never>(() => undefined);
  for (const [input, give] of [
    [silent(), rooms().give],
    [inPieces(packed), never],
  ] as const) {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    const filled = decompressInto(input, give, { source, signal: controller.signal });
    await assert.rejects(gather(bytesOf(filled)), { code: 'E_CANCELLED' });
  }
  assert.equal(threads(), 0);
});

test('cancelled before the thread is there', { skip }, async () => {
  const packed = packWith('zstd', content);
  const controller = new AbortController();
  const cancelling = async function* (): AsyncGenerator<Buffer> {
    yield packed.subarray(0, 1 << 19);
    controller.abort();
    yield packed.subarray(1 << 19);
    await new Promise<never>(() => undefined);
  };
  const filled = decompressInto(cancelling(), rooms().give, { source, signal: controller.signal });
  await assert.rejects(gather(bytesOf(filled)), { code: 'E_CANCELLED' });
  assert.equal(threads(), 0);
});

test('what the library had for a thread that is stopped is given back', { skip }, async () => {
  const large = noise(24 << 20, 3);
  const packed = packWith('zstd', large, ['-1', '--long=27']);
  const given = Array.from({ length: 4 }, () => Buffer.from(new SharedArrayBuffer(1 << 20)));
  const unpackMost = async (): Promise<void> => {
    let asked = 0;
    const give = (): Promise<Room> => Promise.resolve({ bytes: given[asked++ % given.length]! });
    let rest = 20;
    for await (const _ of decompressInto(inPieces(packed, 1 << 20), give, { source, signal }))
      if (--rest === 0) return;
  };
  await unpackMost();
  const before = process.memoryUsage.rss();
  for (let count = 0; count < 10; count++) await unpackMost();
  // Each had a window of 20 MiB.
  assert.ok(process.memoryUsage.rss() - before < 100 << 20);
});
