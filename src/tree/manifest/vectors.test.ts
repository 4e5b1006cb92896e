/** The published test vectors of the canonical form: docs/design/test-vectors. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { sha256 } from '../../core/digest.ts';
import { isCellarError } from '../../core/errors.ts';
import { findProblem } from '../canonical.ts';
import type { Entry } from '../entry.ts';
import { writeErofs } from '../erofs/write.ts';
import { readDump } from '../../../test/support/composefs-dump.ts';
import { readManifest } from './read.ts';
import { manifestDigest, writeManifest } from './write.ts';

interface Vector {
  readonly name: string;
  readonly sha256: string;
  readonly erofs: string;
}

const folder = new URL('../../../docs/design/test-vectors/', import.meta.url);

for (const vector of json<Vector[]>('vectors.json')) {
  test(`test vector ${vector.name}`, () => {
    const text = readFileSync(new URL(`${vector.name}.dump`, folder));
    const entries = json<Entry[]>(`${vector.name}.json`);
    assert.equal(findProblem(entries), undefined);
    assert.equal(Buffer.concat([...writeManifest(entries)]).toString('latin1'), text.toString('latin1'));
    assert.equal(sha256(text), vector.sha256);
    assert.equal(manifestDigest(entries), vector.sha256);
    assert.deepEqual(readManifest(text), entries);
    assert.deepEqual(
      readDump(text).map(({ path }) => path),
      entries.map(({ path }) => path),
    );
    assert.equal(sha256(writeErofs(entries)), vector.erofs);
  });
}

test('texts that are not canonical are refused', () => {
  for (const { problem, manifest } of json<{ problem: string; manifest: string }[]>('invalid.json')) {
    assert.throws(
      () => readManifest(Buffer.from(manifest, 'latin1')),
      (error) => isCellarError(error, 'E_MANIFEST_INVALID'),
      problem,
    );
  }
});

function json<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as T;
}
