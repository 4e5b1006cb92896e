/** What is written twice says the same twice: generated pages, the version, the exit codes. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { referencePages } from '../../scripts/reference-pages.ts';
import { exitCodes } from '../../src/cli/topics.ts';
import { visibleVerbs } from '../../src/cli/verb-index.ts';
import { version } from '../../src/cli/version.ts';
import { errorRegistry } from '../../src/core/error-registry.ts';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

test('the reference pages are what their sources generate (npm run docs)', async () => {
  for (const [name, text] of await referencePages()) assert.equal(read(`docs/reference/${name}`), text, name);
});

test('the version is that of the package', () => {
  assert.equal((JSON.parse(read('package.json')) as { version: string }).version, version);
});

test('every exit code of an error is explained', () => {
  const explained = new Set(exitCodes.map(([code]) => code));
  for (const [code, { exitCode }] of Object.entries(errorRegistry)) assert.ok(explained.has(exitCode), code);
});

test('the reference names every variable of the environment that is ours', () => {
  const page = read('docs/reference/cli.md');
  const internal = ['CELLAR_NOHUP', 'CELLAR_NO_STDOUT'];
  const sources = globSync('src/**/*.ts', { cwd: new URL('../../', import.meta.url) })
    .filter((file) => !file.endsWith('.test.ts'))
    .map(read);
  const used = new Set(sources.flatMap((text) => text.match(/(?<=env\w*\[')CELLAR_[A-Z_]+(?='\])/g) ?? []));
  assert.ok(used.size > 3);
  for (const name of used) if (!internal.includes(name)) assert.ok(page.includes(`\`${name}\``), name);
});

test('the README names every verb', () => {
  const readme = read('README.md');
  for (const { name } of visibleVerbs) assert.match(readme, new RegExp(`\`${name}\\b`), name);
});
