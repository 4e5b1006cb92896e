import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scratchDirectory } from '../../test/support/filesystem.ts';
import { complete } from './complete.ts';
import { completionScript, shells } from './completion-scripts.ts';
import { visibleVerbs } from './verb-index.ts';

const values = async (...words: string[]): Promise<string[]> =>
  (await complete(words, { store: '/nonexistent' })).map(({ value }) => value);

test('verbs, and what follows help', async () => {
  assert.deepEqual(
    await values(''),
    visibleVerbs.map(({ name }) => name),
  );
  assert.deepEqual(await values('--json', 'che'), ['checkout', 'checkouts']);
  assert.deepEqual(await values('help', 'na'), ['names']);
  assert.deepEqual(await values('completion', ''), [...shells]);
});

test('flags of the verb and of all verbs, and their values', async () => {
  assert.deepEqual(await values('checkout', '--m'), ['--method', '--mtime']);
  assert.deepEqual(await values('checkout', '--method', 'co'), ['composefs', 'copy']);
  assert.deepEqual(await values('checkout', '--method=co'), ['--method=composefs', '--method=copy']);
  assert.deepEqual(await values('ls', '--progress', 't'), ['tty']);
  assert.deepEqual(await values('--store', ''), [':directory']);
  assert.deepEqual(await values('pull', '--keyring', ''), [':file']);
});

test('arguments by their place, flags and their values left out', async () => {
  assert.deepEqual(await values('import', ''), [':file']);
  assert.deepEqual(await values('checkout', '--method', 'copy', 'a', ''), [':directory']);
  assert.deepEqual(await values('checkout', 'a', 'b', ''), []);
  assert.deepEqual(await values('show', ''), [], 'a store that is not there has no references');
  assert.deepEqual(await values('nonsense', ''), []);
});

test('targets, actions, and what a store and a configuration know', async () => {
  assert.deepEqual(await values('deploy', 'a', 'di'), ['dir:', 'disk:']);
  assert.deepEqual(await values('deploy', 'a', 'dir:/sr'), [':file']);
  assert.deepEqual(await values('keys', 'e'), ['export']);
  assert.deepEqual(await values('rollback', ''), [], 'nothing is deployed');
  using scratch = scratchDirectory();
  const config = join(scratch.path, 'cellar.yaml');
  writeFileSync(
    config,
    'images: { "web:1": { source: https://example.org/web.tar, groups: edge } }\n' +
      'deployments: { site: { image: "web:1", target: "dir:/srv/site" } }\n',
  );
  assert.deepEqual(await values('--config', config, 'sync', ''), ['web:1', 'edge']);
  assert.deepEqual(await values('--config', config, 'plan', ''), ['site']);
});

test('the scripts are good shell', async (context) => {
  for (const shell of shells) {
    const known = spawnSync('sh', ['-c', 'command -v -- "$0"', shell]).status === 0;
    await context.test(shell, { skip: known ? false : `needs ${shell}` }, () => {
      // fish reads a pipe but not the socket that spawn makes.
      const { status, stderr } = spawnSync('sh', ['-c', `cat | ${shell} -n /dev/stdin`], {
        input: `${completionScript(shell)}\n`,
        encoding: 'utf8',
      });
      assert.equal(status, 0, stderr);
    });
  }
});

test('bash completes references past their colons', { skip: process.platform !== 'linux' }, () => {
  const script = `
    cellar() { printf 'debian:11\\tx\\ndebian:12\\n'; }
    ${completionScript('bash')}
    COMP_LINE='cellar show debian:1' COMP_POINT=20 COMP_WORDS=(cellar show debian : 1) COMP_CWORD=4
    _cellar; echo "\${COMPREPLY[*]}"`;
  const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', script], { encoding: 'utf8' });
  assert.equal(stdout.trim().replace(/\n/g, ' '), '11 12', stderr);
});

const hasFish = spawnSync('sh', ['-c', 'command -v fish']).status === 0;
const hasZsh = spawnSync('sh', ['-c', 'command -v zsh']).status === 0;

test(
  'fish passes on the word that is being typed, also an empty one',
  { skip: hasFish ? false : 'needs fish' },
  () => {
    using scratch = scratchDirectory();
    const asked = join(scratch.path, 'asked');
    const script = `
    function cellar; printf '%s;' $argv[3] | tr '\\n' , >>${asked}; end
    ${completionScript('fish')}
    for line in 'cellar ' 'cellar ch' 'cellar checkout --method ' 'cellar tag a b'; complete -C $line; end`;
    const { stderr } = spawnSync('sh', ['-c', 'cat | fish --no-config /dev/stdin'], {
      input: script,
      encoding: 'utf8',
    });
    assert.equal(readFileSync(asked, 'utf8'), ';ch;checkout,--method,;tag,a,b;', stderr);
  },
);

test('fish completes the path behind the kind of a target', { skip: hasFish ? false : 'needs fish' }, () => {
  using scratch = scratchDirectory();
  mkdirSync(join(scratch.path, 'place'));
  const script = `
    cd ${scratch.path}
    function cellar; echo :file; end
    ${completionScript('fish')}
    for word in dir:./pl ./pl file:./none; complete -C "cellar deploy a $word"; end`;
  const { stdout, stderr } = spawnSync('sh', ['-c', 'cat | fish --no-config /dev/stdin'], {
    input: script,
    encoding: 'utf8',
  });
  const values = stdout.trim().split('\n');
  assert.deepEqual(
    values.map((line) => line.split('\t')[0]),
    ['dir:./place/', './place/'],
    stderr,
  );
});

test(
  'zsh completes the path behind the kind of a target and behind an option',
  { skip: hasZsh ? false : 'needs zsh' },
  () => {
    const script = `
    setopt extendedglob
    cellar() { echo :directory }
    compset() { [[ $PREFIX == (#b)(\${~2})* ]] && PREFIX=\${PREFIX#$match[1]} }
    _files() { echo $PREFIX }
    compdef() {}
    ${completionScript('zsh')}
    for PREFIX in dir:/us --store=/us /us; do words=(cellar deploy a $PREFIX) CURRENT=4; _cellar; done`;
    const { stdout, stderr } = spawnSync('zsh', ['-f', '-c', script], { encoding: 'utf8' });
    assert.equal(stdout, '/us\n/us\n/us\n', stderr);
  },
);
