/** The page on the configuration: its example is one, and so is the example of every key. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig, type LoadedConfig } from '../../src/config/load.ts';
import { scratchDirectory } from '../support/filesystem.ts';

const page = readFileSync(new URL('../../docs/reference/config.md', import.meta.url), 'utf8');

test('the example of the page is a configuration', () => {
  const [, example] = /```yaml\n([^]*?)```/.exec(page)!;
  const { images, groups } = load(example!.replace('include:', '# include:'));
  assert.deepEqual(
    images.map(({ reference }) => reference),
    ['debian:13', 'nginx:latest', 'tools:latest'],
  );
  assert.deepEqual([...groups.keys()], ['base', 'web']);
});

const around: Readonly<Record<string, (example: string) => string>> = {
  store: (example) => `store: {${example}}`,
  images: (example) =>
    `images:\n  x:\n${/^source:/.test(example) ? '' : '    source: docker://y\n'}    ${example}`,
  deployments: (example) => {
    const needed = ['image: y', 'target: dir:/srv/x'].filter(
      (one) => !example.startsWith(one.split(' ')[0]!),
    );
    return ['deployments:', '  x:', ...[...needed, example].map((line) => `    ${line}`)].join('\n');
  },
  cosign: (example) => {
    const others = /^key:/.test(example) ? [] : ['trust-root: r', 'identity: i', 'issuer: j'];
    const rest = others.filter((other) => !example.startsWith(other.split(':')[0]!));
    return `images: {x: {source: "docker://y", cosign: {${[example, ...rest].join(', ')}}}}`;
  },
};

for (const [section, wrap] of Object.entries(around))
  test(`the examples of ${section} are understood`, () => {
    const [, rows] = new RegExp(`\n## ${section}\n([^]*?)\n## `).exec(page)!;
    const examples = [...rows!.matchAll(/`([^`]+)` \|$/gm)].map(([, example]) => example!);
    assert.ok(examples.length > 2);
    for (const example of examples) load(`variables: {release: r}\n${wrap(example)}`);
  });

function load(text: string): LoadedConfig {
  using scratch = scratchDirectory();
  const path = join(scratch.path, 'cellar.yaml');
  writeFileSync(path, text);
  return loadConfig(path, {});
}
