import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { makeScratch } from '../../../test/support/scratch.ts';
import { blockFile, copyOf, type BlockFile } from './blocks.ts';

interface Writing {
  readonly path: string;
  readonly fd: number;
  readonly file: BlockFile;
  readonly wanted: Buffer[];
}

function begin(path: string): Writing {
  const fd = openSync(path, 'w');
  return { path, fd, file: blockFile(fd, path), wanted: [] };
}

async function write({ file, wanted }: Writing, size: number, fillWith: string): Promise<void> {
  const content = Buffer.alloc(size, fillWith);
  wanted.push(Buffer.from(content));
  await file.write(size, copyOf(content));
  content.fill(0); // copied, whether it is written or not
}

async function end({ path, fd, file, wanted }: Writing): Promise<void> {
  await file.end();
  await file[Symbol.asyncDispose]();
  closeSync(fd);
  assert.ok(readFileSync(path).equals(Buffer.concat(wanted)), path);
}

const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 3 << 20 }), fc.constant(1 << 20)), {
  minLength: 1,
  maxLength: 4,
});

test('what is written is what is in the file, whatever it is cut into and however many are written at a time', async () => {
  using scratch = makeScratch('blocks');
  await fc.assert(
    fc.asyncProperty(fc.array(sizes, { minLength: 1, maxLength: 5 }), async (files) => {
      // More files than blocks, all of them begun before the first ends.
      const begun = files.map((_, index) => begin(join(scratch.path, String(index))));
      for (let part = 0; part < 4; part++)
        for (const [index, writing] of begun.entries()) {
          const size = files[index]![part];
          if (size !== undefined) await write(writing, size, `${index}.${part} `);
        }
      await Promise.all(begun.map(end));
    }),
    { numRuns: 20 },
  );
});

test('a write that fails is told at the end, and the blocks serve again', async () => {
  using scratch = makeScratch('blocks-fail');
  const path = join(scratch.path, 'file');
  closeSync(openSync(path, 'w'));
  for (let again = 0; again < 4; again++) {
    const fd = openSync(path, 'r');
    const file = blockFile(fd, path);
    await file.write(100, (target) => void target.fill(1));
    await assert.rejects(file.end(), { code: 'EBADF' });
    await file[Symbol.asyncDispose]();
    closeSync(fd);
  }
  const good = begin(path);
  await write(good, 3 << 20, 'good');
  await end(good);
});

test('content that cannot be had gives its block back', async () => {
  using scratch = makeScratch('blocks-fill');
  for (let again = 0; again < 4; again++) {
    const failing = begin(join(scratch.path, 'failing'));
    const lost = failing.file.write(1000, () => {
      throw new Error('it is gone');
    });
    await assert.rejects(lost, /it is gone/);
    await failing.file[Symbol.asyncDispose]();
    closeSync(failing.fd);
  }
  const good = begin(join(scratch.path, 'good'));
  await write(good, 3 << 20, 'good');
  await end(good);
});
