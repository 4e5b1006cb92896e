import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CellarEvent } from '../../core/events.ts';
import { CellarError } from '../../core/errors.ts';
import { announcement } from './message.ts';
import { createRenderer, type ProgressMode } from './renderer.ts';
import { hasColor, plain } from './style.ts';
import { width } from './table.ts';

/** Feeds events at given milliseconds; returns all that was written. */
function show(
  mode: ProgressMode,
  events: readonly (readonly [at: number, event: CellarEvent])[],
  options: { quiet?: boolean; columns?: number; isTTY?: boolean } = {},
): string {
  let [text, clock] = ['', 0];
  const { quiet = false, columns = 80, isTTY = false } = options;
  const screen = { isTTY, columns, write: (more: string) => (text += more) };
  const renderer = createRenderer(mode, { screen, style: plain, quiet, now: () => clock });
  for (const [at, event] of events) {
    clock = at;
    renderer.event(event);
  }
  renderer.clear();
  return text;
}

const MiB = 2 ** 20;
const begin: CellarEvent = {
  type: 'step',
  step: 's',
  label: 'importing x.tar',
  unit: 'bytes',
  total: 100 * MiB,
};
const at = (done: number): CellarEvent => ({ type: 'progress', step: 's', done: done * MiB });
const end: CellarEvent = { type: 'step-end', step: 's' };
const slow = [
  [0, begin],
  [500, at(10)],
  [1000, at(20)],
  [1100, at(22)],
  [2000, at(40)],
  [5000, at(100)],
  [5000, end],
] as const;

test('lines: one a second, with amount, share, rate and time left, and one at the end', () => {
  assert.deepEqual(show('lines', slow).split('\n'), [
    'importing x.tar: 20.0 MiB of 100 MiB, 20 %, 20.0 MiB/s, 4.0 s left',
    'importing x.tar: 40.0 MiB of 100 MiB, 40 %, 20.0 MiB/s, 3.0 s left',
    'importing x.tar: 100 MiB of 100 MiB, 100 %, 20.0 MiB/s',
    'importing x.tar: 100 MiB in 5.0 s',
    '',
  ]);
});

test('lines: a short step says nothing', () => {
  assert.equal(
    show('lines', [
      [0, begin],
      [300, at(50)],
      [600, end],
    ]),
    '',
  );
});

test('tty: redraws in place, never wider than the screen, and leaves nothing behind', () => {
  for (const columns of [20, 40, 80, 200]) {
    const text = show('tty', slow, { columns, isTTY: true });
    for (const line of text.split('\n')) assert.ok(width(line.replace(/\r/g, '')) < columns, line);
    assert.ok(text.endsWith('\x1b[1A\r\x1b[J'), 'the last thing is taking the bar down');
  }
  assert.match(show('tty', slow, { isTTY: true }), /importing x\.tar {2}█+░+ {2}20\.0 MiB of 100 MiB/);
});

test('tty: a message stands above the bar, which is drawn again', () => {
  const text = show(
    'tty',
    [
      [0, begin],
      [500, at(10)],
      [600, { type: 'note', text: 'by the way' }],
      [700, at(20)],
    ],
    {
      isTTY: true,
    },
  );
  const [before, after] = text.split('by the way\n');
  assert.ok(before?.endsWith('\x1b[1A\r\x1b[J'));
  assert.match(after ?? '', /20\.0 MiB/);
});

test('auto: bars on a terminal, lines elsewhere, nothing when quiet', () => {
  assert.ok(show('auto', slow, { isTTY: true }).includes('\x1b['));
  assert.equal(show('auto', slow), show('lines', slow));
  assert.equal(show('auto', slow, { isTTY: true, quiet: true }), '');
});

test('json: one object a line, progress at most four times a second', () => {
  const lines = show('json', [
    [0, begin],
    [10, at(1)],
    [20, at(2)],
    [300, at(3)],
    [400, end],
  ])
    .trimEnd()
    .split('\n');
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { type: string; done?: number }).done ?? 'other'),
    ['other', 1 * MiB, 3 * MiB, 'other'],
  );
});

test('warnings and errors are shown in every mode, notes not when quiet', () => {
  const events = [
    [0, { type: 'note', text: 'a note' }],
    [0, { type: 'warning', code: 'W_X', text: 'careful', hint: 'do this' }],
    [0, { type: 'error', error: new CellarError('E_CANCELLED') }],
  ] as const;
  for (const mode of ['tty', 'lines', 'none'] as const) {
    const text = show(mode, events);
    assert.match(text, /^cellar: warning: careful\nhint: do this\ncellar: error\[E_CANCELLED\]: cancelled$/m);
    assert.equal(text.includes('a note'), mode !== 'none');
  }
  assert.ok(!show('lines', events, { quiet: true }).includes('a note'));
});

test('colour is judged by stream and environment', () => {
  const tty = { isTTY: true };
  assert.ok(hasColor(tty, {}));
  assert.ok(!hasColor(tty, { NO_COLOR: '1' }));
  assert.ok(hasColor(tty, { NO_COLOR: '' }));
  assert.ok(!hasColor(tty, { TERM: 'dumb' }));
  assert.ok(!hasColor({}, {}));
  assert.ok(!hasColor(tty, {}, false));
  assert.ok(hasColor({}, { FORCE_COLOR: '1' }));
});

test('attempts of a request that failed are told when asked for', () => {
  const event: CellarEvent = {
    ...{ type: 'attempt', url: 'http://a/', attempt: 1, of: 5, problem: 'answered 503', waitMs: 1500 },
  };
  assert.equal(announcement(event, { style: plain, quiet: false }), undefined);
  assert.equal(
    announcement(event, { style: plain, quiet: false, verbose: true }),
    'attempt 1 of 5: http://a/ answered 503; next in 1.5 s',
  );
});
