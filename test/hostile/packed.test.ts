/** Packed input of every kind: what the programs pack comes out right, cut anywhere it is missed, and a wrong byte is seen. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  gather,
  inPieces,
  packers,
  packWith,
  sampleBytes,
  skipWithout,
  type Packer,
} from '../support/packers.ts';
import { CellarError } from '../../src/core/errors.ts';
import { decompress } from '../../src/tree/compress/decompress.ts';
import { decompressInto } from '../../src/tree/compress/decompress-into.ts';
import { detectCompression } from '../../src/tree/compress/detect.ts';

const { signal } = new AbortController();
const small = Buffer.from('It was a bright cold day in April, and it was cold, bright and a day.\n');
const broken: readonly string[] = ['E_ARCHIVE_TRUNCATED', 'E_ARCHIVE_CORRUPT'];

/** Into chunks and, where that is another way, into given memory: both must agree. */
async function unpack(packed: Uint8Array, pieces?: number): Promise<Buffer> {
  const expected = await outcomeOf(gather(decompress(inPieces(packed, pieces), { source: 'a.tar', signal })));
  for (const size of detectCompression(packed) === 'zstd' ? [997, 1 << 20] : []) {
    const found = await outcomeOf(gather(intoRooms(inPieces(packed, pieces), size)));
    if (expected instanceof Buffer)
      assert.ok(found instanceof Buffer && found.equals(expected), String(found));
    else assert.equal((found as CellarError).code, (expected as CellarError).code);
  }
  if (expected instanceof Buffer) return expected;
  throw expected;
}

async function* intoRooms(chunks: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Buffer> {
  const room = async (): Promise<{ bytes: Buffer<SharedArrayBuffer> }> => ({
    bytes: Buffer.from(new SharedArrayBuffer(size)),
  });
  for await (const { bytes } of decompressInto(chunks, room, { source: 'a.tar', signal })) yield bytes;
}

async function outcomeOf(bytes: Promise<Buffer>): Promise<unknown> {
  try {
    return await bytes;
  } catch (error) {
    return error;
  }
}

/** The bytes, or the code of the error. */
async function outcome(packed: Uint8Array, pieces?: number): Promise<Buffer | string> {
  try {
    return await unpack(packed, pieces);
  } catch (error) {
    assert.ok(error instanceof CellarError, String(error));
    return error.code;
  }
}

async function assertBroken(packed: Uint8Array, what: string, pieces?: number): Promise<void> {
  const result = await outcome(packed, pieces);
  assert.ok(typeof result === 'string' && broken.includes(result), `${what}: ${describe(result)}`);
}

function describe(result: Buffer | string): string {
  return typeof result === 'string' ? result : `${result.length} bytes and no error`;
}

/** Some at a time: many of these start a program each. */
async function forEachOf(count: number, act: (at: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await act(next++);
  };
  await Promise.all([lane(), lane(), lane(), lane()]);
}

const longer: Record<Packer, readonly (readonly string[])[]> = {
  gzip: [['-1'], ['-9']],
  zstd: [['-1'], ['-19'], ['--no-check'], ['--long=31'], ['--ultra', '-22']],
  xz: [['-0'], ['-T2', '--block-size=65536'], ['--check=crc32']],
  bzip2: [['-1'], ['-9']],
  lz4: [['-9'], ['-BD', '-B4'], ['--no-frame-crc'], ['--content-size']],
};

for (const packer of packers) {
  const skip = skipWithout(packer);

  test(`${packer}: what the program packs`, { skip }, async () => {
    const content = sampleBytes(300_000);
    for (const args of [[], ...longer[packer]]) {
      const packed = packWith(packer, content, args);
      for (const pieces of [701, Infinity])
        assert.ok((await unpack(packed, pieces)).equals(content), `${args.join(' ')} in pieces of ${pieces}`);
    }
    assert.equal((await unpack(packWith(packer, small), 1)).compare(small), 0);
    assert.equal((await unpack(packWith(packer, Buffer.alloc(0)))).length, 0);
  });

  test(`${packer}: several streams one after another are one`, { skip }, async () => {
    const parts = [small, Buffer.alloc(0), sampleBytes(10_000), small];
    const packed = Buffer.concat(parts.map((part) => packWith(packer, part)));
    for (const pieces of [3, 1000, Infinity])
      assert.ok((await unpack(packed, pieces)).equals(Buffer.concat(parts)), `in pieces of ${pieces}`);
  });

  test(`${packer}: the end is missed wherever it is cut`, { skip }, async () => {
    const packed = packWith(packer, small);
    await forEachOf(packed.length - 1, (at) => assertBroken(packed.subarray(0, at + 1), `cut at ${at + 1}`));
  });

  test(`${packer}: the end of a second stream is missed wherever it is cut`, { skip }, async () => {
    const packed = packWith(packer, small);
    const twice = Buffer.concat([packed, packed]);
    await forEachOf(packed.length - 1, (at) =>
      assertBroken(twice.subarray(0, packed.length + at + 1), `cut ${at + 1} after the first`, 1000),
    );
  });

  test(`${packer}: a wrong byte anywhere is an error or changes nothing`, { skip }, async () => {
    const packed = packWith(packer, small);
    for (const flip of packer === 'gzip' || packer === 'zstd' ? [0x01, 0x04, 0x80, 0xff] : [0x55]) {
      await forEachOf(packed.length, async (at) => {
        const wrong = Buffer.from(packed);
        wrong[at] = wrong[at]! ^ flip;
        // Without its magic number it is not packed, and no tar either.
        const expected = detectCompression(wrong) === 'none' ? wrong : small;
        const result = await outcome(wrong);
        assert.ok(
          typeof result === 'string' ? broken.includes(result) : result.equals(expected),
          `byte ${at}: ${describe(result)}`,
        );
      });
    }
  });

  test(`${packer}: something else after the end is an error`, { skip }, async () => {
    const packed = packWith(packer, small);
    const member = packWith(packer, small);
    const zeros = Buffer.alloc(1001);
    const large = Buffer.alloc(3 << 20, 7);
    for (const pieces of [7, 65536, Infinity]) {
      await assertBroken(Buffer.concat([packed, Buffer.from('garbage')]), 'letters', pieces);
      await assertBroken(Buffer.concat([packed, zeros, Buffer.from('!')]), 'zeros and a letter', pieces);
      if (pieces > 7) await assertBroken(Buffer.concat([packed, large]), 'much', pieces);
      // xz has padding between streams in its format.
      if (packer !== 'xz')
        await assertBroken(Buffer.concat([packed, zeros, member]), 'zeros and a stream', pieces);
    }
  });
}

test('gzip: zeros fill up the last block of a tape', { skip: skipWithout('gzip') }, async () => {
  const packed = packWith('gzip', small);
  for (const zeros of [1, 511, 3 << 20]) {
    for (const pieces of [packed.length, 65536, Infinity])
      assert.ok((await unpack(Buffer.concat([packed, Buffer.alloc(zeros)]), pieces)).equals(small));
  }
});

test('zstd: skippable frames anywhere are passed over', { skip: skipWithout('zstd') }, async () => {
  const packed = packWith('zstd', small);
  const skippable = Buffer.from('\x5a\x2a\x4d\x18\x05\0\0\0\x28\xb5\x2f\xfd\x00', 'latin1');
  const empty = Buffer.from('\x50\x2a\x4d\x18\0\0\0\0', 'latin1');
  const stream = Buffer.concat([skippable, empty, packed, skippable, packed, empty]);
  for (const pieces of [1, 5, Infinity])
    assert.ok((await unpack(stream, pieces)).equals(Buffer.concat([small, small])));
  for (let cut = 1; cut < 13; cut++) {
    await assertBroken(Buffer.concat([packed, skippable]).subarray(0, -cut), `${cut} short`);
    await assertBroken(skippable.subarray(0, -cut), `alone, ${cut} short`);
  }
});

test('zstd: a window of 2 GiB, its size not known beforehand', { skip: skipWithout('zstd') }, async () => {
  const content = sampleBytes(1 << 20);
  const packed = packWith('zstd', content, ['--ultra', '--long=31', '--no-content-size']);
  assert.ok((await unpack(packed, 65536)).equals(content));
});

test('zstd: frames with every kind of header and block', { skip: skipWithout('zstd') }, async () => {
  const contents = [
    Buffer.alloc(0),
    Buffer.alloc(1),
    Buffer.alloc(200),
    Buffer.alloc(300),
    Buffer.alloc(70_000, 'ab'),
  ];
  for (const args of [[], ['--no-check'], ['--no-content-size'], ['--no-check', '--no-content-size']]) {
    for (const content of [...contents, sampleBytes(400_000)]) {
      const sized = args.includes('--no-content-size') ? [] : [`--stream-size=${content.length}`];
      const packed = packWith('zstd', content, [...args, ...sized]);
      assert.ok(
        (await unpack(Buffer.concat([packed, packed]), 999)).equals(Buffer.concat([content, content])),
      );
      for (const cut of [1, 2, 3]) {
        const next = Buffer.concat([packed, packed.subarray(0, cut)]);
        await assertBroken(next, `${content.length} bytes ${args.join(' ')}, then ${cut} of the next`);
      }
    }
  }
});

test('an error tells source, place and what to do', { skip: skipWithout('zstd') }, async () => {
  const packed = packWith('zstd', small);
  await assert.rejects(unpack(Buffer.concat([packed, packed.subarray(0, 3)])), (error: CellarError) => {
    assert.equal(error.code, 'E_ARCHIVE_TRUNCATED');
    assert.match(error.message, new RegExp(`^a\\.tar ends too early, at byte ${packed.length + 3}`));
    return true;
  });
});

test('what is not packed passes as it is', async () => {
  for (const content of [Buffer.alloc(0), Buffer.from('x'), sampleBytes(50_000)])
    for (const pieces of [1, 4096, Infinity]) assert.ok((await unpack(content, pieces)).equals(content));
});

test('rooms are filled to their end, whatever the packing', async () => {
  const content = sampleBytes(50_000);
  const packed = packers
    .filter((packer) => skipWithout(packer) === false)
    .map((packer) => packWith(packer, content));
  for (const bytes of [content, ...packed]) {
    const rooms: Buffer[] = [];
    for await (const chunk of intoRooms(inPieces(bytes, 701), 4096)) rooms.push(Buffer.from(chunk));
    assert.ok(Buffer.concat(rooms).equals(content));
    assert.deepEqual(
      rooms.slice(0, 12).map(({ length }) => length),
      Array.from({ length: 12 }, () => 4096),
    );
  }
});
