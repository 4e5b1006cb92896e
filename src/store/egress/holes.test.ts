import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { findHoles } from './holes.ts';

const directory = mkdtempSync(join(tmpdir(), 'cellar-holes-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const MiB = 1 << 20;
const KiB = 1 << 10;

interface Case {
  readonly name: string;
  readonly size: number;
  /** Bytes 1 at these places; everything else is zero. */
  readonly data: readonly { offset: number; length: number }[];
  readonly segments: readonly { offset: number; length: number }[] | undefined;
}

const cases: readonly Case[] = [
  { name: 'all data', size: 3 * MiB, data: [{ offset: 0, length: 3 * MiB }], segments: undefined },
  { name: 'all zero', size: 3 * MiB, data: [], segments: [] },
  { name: 'zeros, shorter than a hole', size: MiB - 1, data: [], segments: undefined },
  {
    name: 'a hole in front',
    size: 2 * MiB,
    data: [{ offset: MiB, length: MiB }],
    segments: [{ offset: MiB, length: MiB }],
  },
  {
    name: 'a hole at the end, with a short last block',
    size: 2 * MiB + 5,
    data: [{ offset: 0, length: 4 * KiB }],
    segments: [{ offset: 0, length: 4 * KiB }],
  },
  {
    name: 'a hole of just one mebibyte, between sample points',
    size: 4 * MiB,
    data: [
      { offset: 0, length: MiB + 8 * KiB },
      { offset: 2 * MiB + 8 * KiB, length: 2 * MiB - 8 * KiB },
    ],
    segments: [
      { offset: 0, length: MiB + 8 * KiB },
      { offset: 2 * MiB + 8 * KiB, length: 2 * MiB - 8 * KiB },
    ],
  },
  {
    name: 'one block less is no hole',
    size: 4 * MiB,
    data: [
      { offset: 0, length: MiB + 8 * KiB },
      { offset: 2 * MiB + 4 * KiB, length: 2 * MiB - 4 * KiB },
    ],
    segments: undefined,
  },
  {
    name: 'an unaligned byte keeps its block',
    size: 8 * MiB,
    data: [{ offset: 3 * MiB + 17, length: 1 }],
    segments: [{ offset: 3 * MiB, length: 4 * KiB }],
  },
];

for (const { name, size, data, segments } of cases) {
  for (const stored of ['sparse', 'dense'] as const) {
    test(`${name}, stored ${stored}`, () => {
      const file = join(directory, 'file');
      const fd = openSync(file, 'w+');
      try {
        if (stored === 'dense') writeSync(fd, Buffer.alloc(size));
        ftruncateSync(fd, size);
        for (const { offset, length } of data) writeSync(fd, Buffer.alloc(length, 1), 0, length, offset);
        assert.deepEqual(findHoles(fd, size), segments);
      } finally {
        closeSync(fd);
      }
    });
  }
}
