import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkSparseMap, createMapReader, readGnuSlots } from './sparse-map.ts';

function lines(
  text: string,
  step = text.length,
): { map: readonly number[]; done: boolean; problem: string | undefined } {
  const reader = createMapReader();
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += step) reader.take(bytes, at, Math.min(at + step, bytes.length));
  return { map: reader.map, done: reader.isDone(), problem: reader.problem() };
}

test('a map must ascend, stay in the file, and add up to what is stored', () => {
  assert.deepEqual(checkSparseMap([0, 5, 10, 0, 10, 5], 20, 10), [
    { offset: 0, length: 5 },
    { offset: 10, length: 5 },
  ]);
  assert.deepEqual(checkSparseMap([], 20, 0), []);
  assert.deepEqual(checkSparseMap([20, 0], 20, 0), []);
  const wrong: [number[], number, number][] = [
    [[0], 20, 0],
    [[5, 5, 0, 5], 20, 10],
    [[0, 6, 5, 5], 20, 11],
    [[15, 6], 20, 6],
    [[0, 5], 20, 4],
    [[21, 0], 20, 0],
  ];
  for (const [map, size, stored] of wrong)
    assert.equal(typeof checkSparseMap(map, size, stored), 'string', map.join());
});

test('lines of form 1.0, in pieces of any size, up to the padding', () => {
  const text = `2\n0\n5\n1048576\n7\n${'\0'.repeat(100)}`;
  for (let step = 1; step <= text.length; step++) {
    const found = lines(text, step);
    assert.deepEqual(
      [found.map, found.done, found.problem],
      [[0, 5, 1_048_576, 7], true, undefined],
      String(step),
    );
  }
  assert.deepEqual(lines('0\n'), { map: [], done: true, problem: undefined });
});

test('lines that are no map', () => {
  assert.equal(lines('2\n0\n5\n').done, false);
  for (const text of ['\n', 'x', '1\n-1\n', '1\n\n', `${'9'.repeat(16)}\n`, '1\n 0\n', '999999999\n', '\0\0'])
    assert.notEqual(lines(text).problem, undefined, JSON.stringify(text));
});

test('slots of the old GNU form are pairs of numbers up to one without a length', () => {
  const slot = (offset: string, length: string): string =>
    offset.padStart(11, '0') + ' ' + length.padEnd(12, '\0');
  const read = (text: string, slots = 2): readonly number[] | false => {
    const map: number[] = [];
    return readGnuSlots(Buffer.from(text, 'latin1'), 0, slots, map) ? map : false;
  };
  assert.deepEqual(read(slot('10', '00000000005') + slot('20', '00000000001')), [8, 5, 16, 1]);
  assert.deepEqual(read(slot('10', '00000000005') + slot('20', '')), [8, 5]);
  assert.equal(read(slot('10', 'xxxxxxxxxxx'), 1), false);
  assert.equal(read(slot('xx', '00000000005'), 1), false);
  assert.equal(read(slot('10', '\xff'.repeat(12)), 1), false, 'a length below zero');
  assert.equal(read('\xff'.repeat(12) + slot('0', '1').slice(12), 1), false, 'an offset below zero');
});
