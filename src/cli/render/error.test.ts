import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { CellarError } from '../../core/errors.ts';
import { errorLines } from './error.ts';
import { writeResult } from './json.ts';
import { plain } from './style.ts';

const notFound = new CellarError('E_NOT_FOUND', { details: { reference: 'a:1', store: '/s' } });

test('an error is its message and the next command', () => {
  assert.deepEqual(errorLines(notFound, { style: plain }), [
    "cellar: error[E_NOT_FOUND]: no image 'a:1' in the store /s",
    "hint: 'cellar ls' shows what is there",
  ]);
});

test('no control character of a name reaches the terminal', () => {
  const error = new CellarError('E_SOURCE_NOT_FOUND', { details: { source: 'a\x1b]0;x\x07\nb' } });
  assert.deepEqual(errorLines(error, { style: plain }), [
    'cellar: error[E_SOURCE_NOT_FOUND]: a?]0;x?b does not exist',
  ]);
});

test('verbose shows where it came from and what caused it', () => {
  const cause = new Error('deep down', { cause: new Error('deeper') });
  const lines = errorLines(new CellarError('E_CANCELLED', { cause }), { style: plain, verbose: true });
  assert.ok(lines.includes('caused by: Error: deep down'));
  assert.ok(lines.includes('caused by: Error: deeper'));
  assert.ok(lines.some((line) => line.includes('error.test.ts')));
});

test('a result is one line of JSON, whatever its lists are', async () => {
  const out = new PassThrough();
  const many = new Set(Array.from({ length: 50_000 }, (_, at) => `entry number ${at}`));
  const written = writeResult(out, {
    count: many.size,
    list: many,
    none: undefined,
    empty: new Set(),
    array: [1],
  });
  const [read] = await Promise.all([text(out), written.then(() => out.end())]);
  assert.equal(read.split('\n').length, 2);
  assert.deepEqual(JSON.parse(read), {
    type: 'result',
    count: many.size,
    list: [...many],
    empty: [],
    array: [1],
  });
});
