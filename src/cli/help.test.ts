import assert from 'node:assert/strict';
import { test } from 'node:test';
import { splitVerb, parseArguments } from './arguments.ts';
import { overview, verbHelp } from './help.ts';
import { plain } from './render/style.ts';
import { topics } from './topics.ts';
import { nearest } from '../core/nearest.ts';
import { findVerb, verbs, visibleVerbs } from './verb-index.ts';

test('every verb explains itself, with an example that parses', async () => {
  for (const entry of verbs) {
    const { verb } = await entry.load();
    const lines = verbHelp(entry, verb, plain);
    assert.ok(lines[0]?.startsWith(`Usage: cellar ${entry.name}`));
    assert.ok(
      lines.some((line) => /^Examples?$/.test(line)),
      entry.name,
    );
    for (const { command } of verb.examples) await assertParses(command);
  }
});

test('the overview names every verb once, and no hidden one', () => {
  const text = overview(plain).join('\n');
  for (const { name, summary } of visibleVerbs)
    assert.ok(text.includes(`  ${name.padEnd(10)}`) && text.includes(summary));
  assert.ok(!text.includes('__complete'));
});

test('no line of help is wider than 120 columns', async () => {
  const all = [overview(plain), ...topics.map(({ lines }) => lines())];
  for (const entry of verbs) all.push(verbHelp(entry, (await entry.load()).verb, plain));
  for (const line of all.flat()) assert.ok(line.length <= 120, line);
});

test('near misses are recognised, far ones not', () => {
  const names = visibleVerbs.map(({ name }) => name);
  assert.equal(nearest('imprt', names), 'import');
  assert.equal(nearest('chekcout', names), 'checkout');
  assert.equal(nearest('sl', names), 'ls');
  assert.equal(nearest('frobnicate', names), undefined);
});

/** The first cellar command of the line, as far as the shell would hand it over. */
async function assertParses(command: string): Promise<void> {
  const line = /cellar ((?:'[^']*'|[^|>&'])*)/.exec(command)?.[1] ?? '';
  const words = Array.from(line.matchAll(/'([^']*)'|(\S+)/g), ([, quoted, bare]) => quoted ?? bare ?? '');
  const { verb: name = '', rest } = splitVerb(words);
  const { verb } = (await findVerb(name)?.load()) ?? assert.fail(command);
  assert.doesNotThrow(() => parseArguments(name, verb, rest), command);
}
