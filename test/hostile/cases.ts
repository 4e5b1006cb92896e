/** A table of archives and what each comes to: the entries, or an error code. docs/reference/archives.md tells the same story. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { outcome, type ReadOptions } from '../support/read-archive.ts';

type Case = readonly [
  name: string,
  bytes: Buffer,
  wanted: string | Record<string, string>,
  options?: ReadOptions,
];

export function cases(title: string, list: readonly Case[]): void {
  suite(title, () => {
    for (const [name, bytes, wanted, options] of list)
      test(name, () => {
        assert.deepEqual(outcome(bytes, options), wanted);
        if (bytes.length < 100_000)
          assert.deepEqual(outcome(bytes, { ...options, chunk: 7 }), wanted, 'in chunks of 7 bytes');
      });
  });
}
