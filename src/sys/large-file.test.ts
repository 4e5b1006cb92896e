import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { makeScratch } from '../../test/support/scratch.ts';
import { pageAligned } from './aligned.ts';
import { largeFile } from './large-file.ts';

/** Chunks in all sizes, as whole pages from aligned memory and as pieces that end anywhere. */
const chunks = fc.array(
  fc.oneof(
    fc.record({
      aligned: fc.constant(true),
      size: fc.integer({ min: 1, max: 64 }).map((pages) => pages * 4096),
    }),
    fc.record({ aligned: fc.boolean(), size: fc.integer({ min: 0, max: 300_000 }) }),
    fc.record({ aligned: fc.boolean(), size: fc.constant(1 << 20) }),
  ),
  { maxLength: 12 },
);

test('what is appended is what is in the file, wherever chunks end', async () => {
  using scratch = makeScratch('large-file');
  const path = join(scratch.path, 'file');
  await fc.assert(
    fc.asyncProperty(
      chunks,
      fc.constantFrom(0, 1, 100_000, 1 << 20, 64 << 20),
      fc.constantFrom(0, 1 << 20),
      fc.boolean(),
      async (pieces, large, expected, overlap) => {
        const fd = openSync(path, 'w');
        const wanted: Buffer[] = [];
        const writes: Promise<void>[] = [];
        try {
          using file = largeFile(fd, path, { large, expected });
          for (const [index, { aligned, size }] of pieces.entries()) {
            const memory = aligned ? pageAligned(size) : Buffer.allocUnsafe(size + 1).subarray(1);
            memory.fill(`${index} `);
            wanted.push(Buffer.from(memory));
            writes.push(file.append(memory).then(() => void memory.fill(0)));
            if (!overlap) await writes.at(-1);
          }
          await Promise.all(writes);
          file.end();
          assert.ok(readFileSync(path).equals(Buffer.concat(wanted)));
        } finally {
          closeSync(fd);
        }
      },
    ),
    { numRuns: 60 },
  );
});
