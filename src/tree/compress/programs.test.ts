import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'node:test';
import {
  childProcesses,
  gather,
  inPieces,
  packers,
  packWith,
  type Packer,
  sampleBytes,
  skipWithout,
} from '../../../test/support/packers.ts';
import { CellarError } from '../../core/errors.ts';
import { compress } from './compress.ts';
import { decompress } from './decompress.ts';
import { decompressInto } from './decompress-into.ts';

const source = 'a.tar';
const { signal } = new AbortController();
const content = sampleBytes(4 << 20);
/** Without the text in between. */
const noise = content.filter((_byte, at) => (at >> 12) % 2 === 1);
const timeout = 60_000;

/** The levels that are usual take a second for as much. */
const quickly = (packer: Packer): string[] => (packer === 'xz' ? ['-0'] : packer === 'bzip2' ? ['-1'] : []);

/** Gives the bytes and then waits, as a network does that has nothing more to say. */
async function* thenSilent(bytes: Uint8Array): AsyncGenerator<Buffer> {
  yield* inPieces(bytes, 65536);
  await new Promise<never>(() => undefined);
}

async function* thenFails(bytes: Uint8Array, error: Error): AsyncGenerator<Buffer> {
  yield* inPieces(bytes, 65536);
  throw error;
}

async function* endless(): AsyncGenerator<Buffer> {
  for (;;) {
    await delay(0);
    yield content.subarray(0, 65536);
  }
}

/** The same into given memory, which zstd has a way of its own for. */
async function* intoRooms(
  input: AsyncIterable<Uint8Array>,
  options: { source: string; signal: AbortSignal },
): AsyncGenerator<Buffer> {
  const room = async (): Promise<{ bytes: Buffer<SharedArrayBuffer> }> => ({
    bytes: Buffer.from(new SharedArrayBuffer(65536)),
  });
  for await (const { bytes } of decompressInto(input, room, options)) yield bytes;
}

const ways = [
  ...packers.map((packer) => ({ name: packer, packer, decompress })),
  { name: 'zstd into given memory', packer: 'zstd', decompress: intoRooms },
] as const;

for (const { name, packer, decompress } of ways) {
  const skip = skipWithout(packer);

  test(
    `${name}: unpacking ends when it is cancelled, though the input is silent`,
    { skip, timeout },
    async () => {
      // lz4 gives out whole blocks only: of 64 kB, not of 4 MB.
      const half = packWith(packer, content, packer === 'lz4' ? ['-B4'] : quickly(packer)).subarray(
        0,
        1 << 20,
      );
      const cancel = new AbortController();
      const chunks = decompress(thenSilent(half), { source, signal: cancel.signal });
      assert.equal((await chunks.next()).done, false);
      setTimeout(() => cancel.abort(), 20);
      await assert.rejects(gather(chunks), { code: 'E_CANCELLED' });
      assert.deepEqual(childProcesses(), []);
      await assert.rejects(gather(decompress(inPieces(half), { source, signal: cancel.signal })), {
        code: 'E_CANCELLED',
      });
    },
  );

  test(`${name}: a consumer that stops ends the program and the input`, { skip, timeout }, async () => {
    const packed = packWith(packer, content, quickly(packer));
    let isClosed = false;
    async function* input(): AsyncGenerator<Buffer> {
      try {
        for (;;) yield* inPieces(packed, 65536);
      } finally {
        isClosed = true;
      }
    }
    for await (const chunk of decompress(input(), { source, signal })) {
      assert.ok(chunk.length > 0);
      break;
    }
    assert.deepEqual(childProcesses(), []);
    for (let tries = 0; !isClosed && tries < 100; tries++) await delay(10);
    assert.ok(isClosed);
  });

  test(`${name}: an error of the input passes through`, { skip, timeout }, async () => {
    const failure = new CellarError('E_IO', { details: { doing: 'reading', path: source, problem: 'test' } });
    const packed = packWith(packer, content, quickly(packer));
    for (const bytes of [packed.subarray(0, 1 << 20), packed.subarray(0, 3), packed]) {
      const chunks = decompress(thenFails(bytes, failure), { source, signal });
      await assert.rejects(gather(chunks), (error) => error === failure);
    }
    assert.deepEqual(childProcesses(), []);
  });

  test(`${name}: a broken stream is told without waiting for the rest`, { skip, timeout }, async () => {
    const packed = packWith(packer, sampleBytes(1 << 20), quickly(packer));
    packed.set(noise.subarray(0, packed.length - 2000), 2000);
    const chunks = decompress(thenSilent(Buffer.concat([packed, packed])), { source, signal });
    await assert.rejects(gather(chunks), { code: 'E_ARCHIVE_CORRUPT' });
    assert.deepEqual(childProcesses(), []);
  });
}

for (const packer of ['xz', 'bzip2', 'lz4'] as const) {
  test(
    `${packer}: a missing program is named with its package`,
    { skip: skipWithout(packer), timeout },
    async () => {
      const packed = packWith(packer, Buffer.from('some text'));
      const before = process.env['PATH'];
      process.env['PATH'] = '/nonexistent';
      try {
        const chunks = decompress(inPieces(packed), { source, signal });
        await assert.rejects(gather(chunks), (error: CellarError) => {
          assert.equal(error.code, 'E_DECOMPRESSOR');
          assert.match(error.message, new RegExp(`needs the program ${packer}`));
          return true;
        });
        // Also while the input has nothing more to give.
        const silent = decompress(thenSilent(packed), { source, signal });
        await assert.rejects(gather(silent), { code: 'E_DECOMPRESSOR' });
      } finally {
        process.env['PATH'] = before;
      }
    },
  );
}

for (const format of ['gzip', 'zstd', 'xz'] as const) {
  const skip = skipWithout(format);

  test(`${format}: packing is cancelled`, { skip, timeout }, async () => {
    const cancel = new AbortController();
    setTimeout(() => cancel.abort(), 50);
    const chunks = compress(endless(), format, { signal: cancel.signal });
    await assert.rejects(gather(chunks), { code: 'E_CANCELLED' });
    assert.deepEqual(childProcesses(), []);
    await assert.rejects(gather(compress(inPieces(content), format, { signal: cancel.signal })), {
      code: 'E_CANCELLED',
    });
  });

  test(`${format}: an error of what is packed passes through`, { skip, timeout }, async () => {
    const failure = new CellarError('E_OBJECT_MISSING', { details: { object: 'x' } });
    const chunks = compress(thenFails(content, failure), format, { signal });
    await assert.rejects(gather(chunks), (error) => error === failure);
    assert.deepEqual(childProcesses(), []);
  });
}

test('options in the environment change nothing', { skip: skipWithout('xz'), timeout }, async () => {
  const pack = (): Promise<Buffer> =>
    gather(compress(inPieces(content.subarray(0, 99_999)), 'xz', { signal }));
  const packed = await pack();
  process.env['XZ_OPT'] = '-0 --check=none';
  try {
    assert.ok((await pack()).equals(packed));
  } finally {
    delete process.env['XZ_OPT'];
  }
});

test(
  'a program ended by another is not blamed on the archive',
  { skip: skipWithout('xz'), timeout },
  async () => {
    const chunks = decompress(thenSilent(packWith('xz', content, quickly('xz')).subarray(0, 1 << 20)), {
      source,
      signal,
    });
    assert.equal((await chunks.next()).done, false);
    for (const child of childProcesses()) process.kill(child, 'SIGTERM');
    await assert.rejects(gather(chunks), { code: 'E_IO', message: /SIGTERM/ });
  },
);
