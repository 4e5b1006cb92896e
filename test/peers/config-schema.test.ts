/**
 * The JSON Schema that editors check cellar.yaml with, as another program understands it, says what the reader of the
 * configuration says. It must refuse nothing that is read; what only the whole shows (names that lead nowhere, what a
 * variable holds) it cannot see.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { isCellarError } from '../../src/core/errors.ts';
import { makeScratch } from '../support/scratch.ts';
import { needs, run } from '../support/run.ts';

const image = (...keys: string[]): string[] =>
  keys.map((key) => `variables: { number: '8' }\nimages:\n  x:\n    source: docker://y\n    ${key}\n`);
const deployment = (...keys: string[]): string[] =>
  keys.map((key) => `deployments:\n  d:\n    image: y\n    target: dir:/srv/x\n    ${key}\n`);

const good = [
  '{}',
  '# nothing but comments',
  'images:\n  x:\n',
  'deployments: { d: }',
  'variables: { a: }',
  ...image(`sha256: ${'1'.repeat(64)}`, `sha256: ${'3f'.repeat(32)}`, 'labels: { team: }'),
  'version: 1',
  'images:',
  'defaults:\nimages: { x: { source: y } }\ndeployments:',
  ...['max-size: 1.5GiB', 'max-size:', 'keep: "3"', 'grace: 0'].map((key) => `store: { ${key} }`),
  ...image('mirrors: a', 'mirrors: [a, b]', 'expires: 90d', 'expires: 1767225600', "expires: '1767225600'"),
  ...image('pin: true', "pin: 'true'", 'groups: [1, b]', 'verify: no', 'refresh: 0', 'refresh: never'),
  ...image('platform: all', 'platform: [linux/amd64, linux/arm/v7]', 'labels: { team: 1.10 }', 'keyring: 1'),
  ...image('credentials: { token-env: A }', 'credentials: { username: a, password-file: b }'),
  ...image('cosign: { key: a }', 'cosign: { trust-root: a, identity: b, issuer: c }', 'keep: ${number}'),
  ...image('rate-limit: 20MiB/s', 'max-files: ${number}', 'client-certificate: { cert: a, key: b }'),
  ...deployment('writable: true', 'method: lvm:vg,fs=xfs', 'on-change: true', "mode: '0755'", 'mode: 755'),
  ...deployment("owner: '0:0'", 'nested: { i: { image: a, path: b.gz } }', 'parameters: { a: 1 }', 'quota:'),
  'deployments: { d: { image: 12345678, target: dir:/srv/x } }',
];

const bad = [
  '[]',
  'version: 2',
  'unknown: 1',
  'images: []',
  'images: { x: {} }',
  "images: { x: { source: '' } }",
  ...['max-size: -1', 'max-size: big', 'keep: -1', 'keep: 1.5', 'grace: 5', 'other: 1'].map(
    (key) => `store: { ${key} }`,
  ),
  ...image('sha256: abc', 'expires: 5', 'pin: yes', 'groups: A b', 'verify: Signature', 'refresh: 10'),
  ...image('platform: linux', 'labels: { team: [a] }', 'labels: x', 'max-files: 0', 'timeout: 5', 'ca: [a]'),
  ...image('credentials: {}', 'credentials: { username: a }', 'credentials: { username: a, token-env: b }'),
  ...image('cosign: {}', 'cosign: { key: a, identity: b }', 'client-certificate: { cert: a }'),
  ...deployment(
    'writable: maybe',
    'on-change: [a]',
    "mode: '9'",
    'mode: u+x',
    'owner: root:root',
    'keep: -1',
  ),
  ...deployment('nested: { i: { image: a } }', 'parameters: { a: [1] }', "record: ''", 'unknown: 1'),
  'deployments: { d: { target: dir:/srv/x } }',
  'deployments: { D: { image: y, target: dir:/srv/x } }',
  'deploy-defaults: { image: y }',
];

const skip = needs({ programs: ['jsonschema'] });

test('the schema for editors accepts what is read and refuses what is refused', { skip }, async () => {
  using scratch = makeScratch('schema');
  const texts = [...good, ...bad];
  const files = texts.map((text, at) => {
    const file = join(scratch.path, `${at}.json`);
    writeFileSync(file, JSON.stringify(parse(text)));
    return file;
  });
  const schema = new URL('../../docs/reference/cellar.schema.json', import.meta.url).pathname;
  const instances = files.flatMap((file) => ['-i', file]);
  const { stdout, stderr } = await run(['jsonschema', '--output', 'pretty', ...instances, schema]);
  const accepted = new Set(
    [...stdout.toString().matchAll(/\[SUCCESS\]===\((.*)\)===/g)].map(([, file]) => file),
  );
  const said = files.map((file) => accepted.has(file));
  const read = texts.map((text) => isRead(text, scratch.path));
  assert.deepEqual(
    texts.filter((_, at) => said[at]),
    good,
    stderr,
  );
  assert.deepEqual(
    texts.filter((_, at) => read[at]),
    good,
  );
});

function isRead(text: string, directory: string): boolean {
  const file = join(directory, 'cellar.yaml');
  writeFileSync(file, text);
  try {
    loadConfig(file, {});
    return true;
  } catch (error) {
    if (isCellarError(error, 'E_CONFIG')) return false;
    throw error;
  }
}
