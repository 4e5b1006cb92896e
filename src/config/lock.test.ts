import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scratchDirectory } from '../../test/support/filesystem.ts';
import { isCellarError } from '../core/errors.ts';
import { lockPathOf, lockText, readLock, writeLock, type LockEntry } from './lock.ts';

const entry = (reference: string, platform: string): LockEntry => ({
  verified: 'checksum',
  revision: '"etag"',
  sha256: 'b'.repeat(64),
  content: 'a'.repeat(64),
  kind: 'tree',
  source: 'https://u:sesam@h.example.org/x?token=abc',
  platform,
  reference,
});
const { sha256: _, revision: __, ...bare } = entry('a:latest', 'linux/arm64');
const entries = [entry('b:1', 'linux/amd64'), bare, entry('a:latest', 'linux/amd64')];

test('what was written is read again, without its secrets', () => {
  using scratch = scratchDirectory();
  const path = lockPathOf(join(scratch.path, 'cellar.yaml'));
  assert.equal(path, join(scratch.path, 'cellar.lock'));
  assert.equal(writeLock(path, entries), true);
  const source = 'https://***@h.example.org/x?token=***';
  assert.deepEqual(
    readLock(path),
    [entries[2]!, entries[1]!, entries[0]!].map((one) => ({ ...one, source })),
  );
  assert.doesNotMatch(readFileSync(path, 'utf8'), /sesam|abc/);
});

test('the same images are the same bytes, and a file that says them is left alone', () => {
  using scratch = scratchDirectory();
  const path = join(scratch.path, 'cellar.lock');
  writeLock(path, entries);
  const { ino } = statSync(path);
  assert.equal(writeLock(path, entries.toReversed()), false);
  assert.equal(statSync(path).ino, ino);
  assert.equal(lockText(entries), lockText(entries.toReversed()));
  assert.equal(lockText([]), '{\n  "version": 1,\n  "images": {}\n}\n');
});

const good = lockText([entry('a:latest', 'linux/amd64')]);
const broken: readonly (readonly [what: string, text: string, said: RegExp])[] = [
  ['another version', good.replace('"version": 1', '"version": 2'), /version: it is of a version/],
  ['half of it', good.slice(0, 100), /it is no JSON/],
  ['a digest', good.replace('aaaa', 'xxxx'), /a:latest → linux\/amd64 → content: no SHA-256/],
  ['a name', good.replace('a:latest', 'A'), /no reference|Invalid key/],
  ['a member it does not know', good.replace('"kind"', '"sort"'), /kind|sort/],
  ['nothing', '', /no JSON/],
];

for (const [what, text, said] of broken)
  test(`a lock file is refused: ${what}`, () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, 'cellar.lock');
    writeFileSync(path, text);
    assert.throws(
      () => readLock(path),
      (error) => isCellarError(error, 'E_LOCK_FILE') && said.test(error.message),
    );
  });

test('a lock file that is not there is told, with how to make one', () => {
  assert.throws(
    () => readLock('/nonexistent/cellar.lock'),
    (error) =>
      isCellarError(error, 'E_LOCK_FILE') && /is not there/.test(error.message) && /sync/.test(error.hint!),
  );
});
