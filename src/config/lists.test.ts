import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { scratchDirectory } from '../../test/support/filesystem.ts';
import { isCellarError } from '../core/errors.ts';
import { parseList, readListing } from './lists.ts';

test('URLs become files named by host and path, names become images of registries', () => {
  const text = [
    '# kept offline',
    'https://dl.k8s.io/v1.34.1/kubectl\r',
    '',
    'https://dl.k8s.io/v1.34.1/kubectl',
    'http://h/${x}/a.tar.gz',
    'registry.k8s.io/pause:3.10',
    'quay.io/calico/node',
    `localhost:5000/x:1@sha256:${'a'.repeat(64)}`,
    `h.example.org/y@sha256:${'b'.repeat(64)}`,
  ].join('\n');
  assert.deepEqual(
    parseList(text, 'l').map(({ name, source }) => [name, source]),
    [
      ['files/dl.k8s.io/v1.34.1/kubectl:latest', 'file+https://dl.k8s.io/v1.34.1/kubectl'],
      ['files/h/0__24__7bx__7d/a.tar.gz:latest', 'file+http://h/$${x}/a.tar.gz'],
      ['registry.k8s.io/pause:3.10', 'docker://registry.k8s.io/pause:3.10'],
      ['quay.io/calico/node:latest', 'docker://quay.io/calico/node'],
      ['localhost:5000/x:1', `docker://localhost:5000/x:1@sha256:${'a'.repeat(64)}`],
      [`h.example.org/y:sha256-${'b'.repeat(64)}`, `docker://h.example.org/y@sha256:${'b'.repeat(64)}`],
    ],
  );
});

test('one thing may be written in two ways', () => {
  const same = [
    ['nginx', 'nginx:latest'],
    ['h.example.org:5000/a', 'h.example.org:5000/a:latest'],
    ['https://h/x', 'HTTPS://H:443/x'],
    ['https://h', 'https://h/'],
    ['https://h/a/../x', 'https://h/%2e/x'],
  ];
  for (const lines of same)
    assert.deepEqual(
      parseList(lines.join('\n'), 'l').map(({ source }) => source.replace(/^(?:docker:\/\/|file\+)/, '')),
      [lines[0]],
    );
});

test('a secret in a query comes into no name, and the way out is told', () => {
  for (const query of ['token=sesam', 'a=b&X-Amz-Signature=sesam', 'sig=sesam'])
    assert.throws(
      () => parseList(`https://h/x?${query}`, 'l'),
      (error) =>
        isCellarError(error, 'E_CONFIG') &&
        /^l:1: it has a secret in its query$/.test(error.message) &&
        error.hint?.includes('cellar add NAME SOURCE') === true,
    );
});

const bad: readonly (readonly [line: string, said: RegExp])[] = [
  ['https://h/{{ version }}', /more than one word/],
  ['https://h/{{version}}', /was never filled in/],
  ['https://u:sesam@h/x', /^l:2: it has a password in it$/],
  ['ftp://h/x', /http and https URLs/],
  ['Quay.io/Calico/Node:v1', /l:2: /],
  ['quay.io/calico/node:', /l:2: /],
  ['http://one.example.org/x', /comes from elsewhere on line 1/],
  ['https://h/x#y', /without a fragment/],
  ['https://h/caf\uFFFD', /not plain UTF-8/],
  ['https://h/x\u0000y', /not plain UTF-8/],
  [`https://h/${'a'.repeat(5000)}`, /^l:2: it has 5010 characters$/],
];

for (const [line, said] of bad)
  test(`a line that is none: ${JSON.stringify(line.slice(0, 40))}`, () => {
    assert.throws(
      () => parseList(`https://one.example.org/x\n${line}\n`, 'l'),
      (error) =>
        isCellarError(error, 'E_CONFIG') && said.test(error.message) && error.message.startsWith('l:2: '),
    );
  });

test('a directory that wget -x filled: relative below the configuration, else absolute', () => {
  using scratch = scratchDirectory();
  const root = join(scratch.path, 'offline');
  for (const name of ['h.example.org/a/b.tar', 'h.example.org/LICENSE', 'i.example.org/x', 'wget-log']) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), name);
  }
  symlinkSync('x', join(root, 'i.example.org/y'));
  mkdirSync(join(scratch.path, 'private'));
  writeFileSync(join(scratch.path, 'private/key'), 'of this machine');
  symlinkSync('../../private', join(root, 'i.example.org/z'));
  symlinkSync('.', join(root, 'loop'));
  const { images, skipped } = readListing(root, scratch.path);
  assert.deepEqual(
    images.map(({ name, source }) => [name, source]),
    [
      ['files/h.example.org/0__4c__49__43__45__4e__53__45:latest', 'file+file:offline/h.example.org/LICENSE'],
      ['files/h.example.org/a/b.tar:latest', 'file+file:offline/h.example.org/a/b.tar'],
      ['files/i.example.org/x:latest', 'file+file:offline/i.example.org/x'],
    ],
  );
  assert.deepEqual(skipped, ['i.example.org/y', 'i.example.org/z', 'loop', 'wget-log']);
  assert.equal(
    readListing(root, join(scratch.path, 'elsewhere')).images[2]!.source,
    `file+file:${root}/i.example.org/x`,
  );
});

test('a tree with a name that is no UTF-8, also of a directory, is refused', () => {
  using scratch = scratchDirectory();
  const odd = Buffer.concat([Buffer.from(join(scratch.path, 'h.example.org/caf')), Buffer.from([0xe9])]);
  mkdirSync(odd, { recursive: true });
  writeFileSync(Buffer.concat([odd, Buffer.from('/x')]), 'x');
  assert.throws(
    () => readListing(scratch.path, '/'),
    (error) => isCellarError(error, 'E_CONFIG') && /not plain UTF-8/.test(error.message),
  );
});

test('a list from which nothing comes is a mistake', () => {
  using scratch = scratchDirectory();
  writeFileSync(join(scratch.path, 'l'), '# nothing\n');
  for (const path of [join(scratch.path, 'l'), scratch.path, join(scratch.path, 'gone')])
    assert.throws(
      () => readListing(path, '/'),
      (error) => isCellarError(error, 'E_CONFIG'),
    );
});
