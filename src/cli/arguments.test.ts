import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCellarError } from '../core/errors.ts';
import { parseArguments, splitVerb } from './arguments.ts';
import { choice, list, optional, required, text, toggle } from './spec.ts';
import { bytes, digest, duration, labels } from './values.ts';

const verb = {
  args: [required('SRC', ''), optional('REF', '')],
  options: {
    dryRun: toggle('', 'n'),
    level: choice(['low', 'high'], ''),
    exclude: list('GLOB', ''),
    label: labels(),
    maxSize: bytes(''),
    grace: duration(''),
    sha256: digest(''),
    from: text('X', ''),
  },
};

const parse = (...words: string[]): ReturnType<typeof parseArguments> =>
  parseArguments('import', verb, words);

test('the verb is the first word that is neither flag nor the value of one', () => {
  assert.deepEqual(splitVerb(['--store', 'ls', '--json', 'rm', 'x']), {
    verb: 'rm',
    rest: ['--store', 'ls', '--json', 'x'],
  });
  assert.deepEqual(splitVerb(['--store=ls', 'rm']), { verb: 'rm', rest: ['--store=ls'] });
  assert.deepEqual(splitVerb(['--version']), { verb: undefined, rest: ['--version'] });
  assert.deepEqual(splitVerb(['--', 'rm']), { verb: undefined, rest: ['--', 'rm'] });
});

test('values have their types, absent ones their defaults', () => {
  const { args, options, globals } = parse(
    '-',
    '--exclude',
    'a',
    '-n',
    '--exclude=b',
    '--max-size',
    '2K',
    '--json',
    '-q',
  );
  assert.deepEqual(args, ['-', undefined]);
  assert.deepEqual(options['exclude'], ['a', 'b']);
  assert.deepEqual(
    [options['dryRun'], options['maxSize'], options['level'], options['from']],
    [true, 2048, undefined, undefined],
  );
  assert.deepEqual(
    [globals.json, globals.quiet, globals.noColor, globals.store],
    [true, true, false, undefined],
  );
});

test('labels, digests and times', () => {
  const { options } = parse(
    'x',
    '--label',
    'a=b=c',
    '--label=d=',
    '--grace=2h',
    '--sha256',
    `sha256:${'AB'.repeat(32)}`,
  );
  assert.deepEqual(options['label'], { a: 'b=c', d: '' });
  assert.equal(options['grace'], 7_200_000);
  assert.equal(options['sha256'], 'ab'.repeat(32));
});

test('--no-color is a flag of its own', () => {
  assert.equal(parse('x', '--no-color').globals.noColor, true);
});

test('a word after -- is never a flag', () => {
  assert.deepEqual(parse('--', '--json').args, ['--json', undefined]);
});

test('mistakes are usage errors that say what to do', () => {
  const cases: [words: string[], problem: RegExp, hint: RegExp][] = [
    [[], /missing required argument 'SRC'/, /cellar import --help/],
    [['a', 'b', 'c'], /too many arguments/, /--help/],
    [['a', '--exlude', 'b'], /unknown option '--exlude'/, /did you mean --exclude\?/],
    [['a', '--max-size'], /argument missing/, /--help/],
    [['a', '--max-size', 'big'], /--max-size is 'big', which is not a size/, /^$/],
    [['a', '--level', 'mid'], /--level is 'mid'/, /choose one of low, high/],
    [['a', '--label', 'x'], /not key=value/, /^$/],
    [['a', '--sha256', 'abc'], /64 hex digits/, /^$/],
    [['a', '--progress', 'loud'], /--progress is 'loud'/, /auto, tty/],
  ];
  for (const [words, problem, hint] of cases) {
    assert.throws(
      () => parse(...words),
      (error) =>
        isCellarError(error, 'E_USAGE') &&
        problem.test(error.message) &&
        hint.test(error.hint ?? '') &&
        error.exitCode === 2,
      words.join(' '),
    );
  }
});
