import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scratchDirectory } from '../../test/support/filesystem.ts';
import { isCellarError } from '../core/errors.ts';
import { inputsDigest } from './inputs.ts';
import { readRecipe } from './recipe.ts';

function recipeFile(text: string): { file: string; directory: string } & Disposable {
  const scratch = scratchDirectory();
  const file = join(scratch.path, 'recipe.yaml');
  writeFileSync(file, text);
  return { file, directory: scratch.path, [Symbol.dispose]: () => scratch[Symbol.dispose]() };
}

test('variables fill every value but commands', () => {
  using made = recipeFile(
    'base: debian:${release}\nvariables: {release: 12, port: 80}\nrun: echo ${port} ${PATH}\nfiles: [{dest: /x, content: "${port} ${other}", mode: 600}]\n',
  );
  const recipe = readRecipe(made.file, { port: '8080' });
  assert.equal(recipe.base, 'debian:12');
  assert.deepEqual(recipe.run, ['echo ${port} ${PATH}']);
  assert.equal(recipe.files?.[0]?.content, '8080 ${other}');
  assert.equal(recipe.files?.[0]?.mode, 0o600);
  assert.deepEqual(recipe.variables, { release: '12', port: '8080' });
});

test('mistakes are told with their place', () => {
  const cases: readonly (readonly [text: string, problem: RegExp])[] = [
    ['base: a\nbootstrap: b\n', /one of 'base' and 'bootstrap'/],
    ['run: x\n', /one of 'base' and 'bootstrap'/],
    ['base: a\nrum: x\n', /recipe\.yaml:2:1: the file has no key 'rum'/],
    ['base: a\nfiles: [{dest: /x}]\n', /recipe\.yaml:2:9.*one of 'host', 'from' and 'content'/],
    ['base: a\nfiles: [{dest: ../x, content: y}]\n', /a path in the tree/],
    ['base: a\npackages: [--force-yes]\n', /the name of a package/],
    ['base: a\nconfigure: {hostname: "a b"}\n', /a host name/],
    ['base: a\nscrub: maybe\n', /recipe\.yaml:2:1.*scrub/],
    ['base: a\ntimeout: soon\n', /a time such as/],
  ];
  for (const [text, problem] of cases) {
    using made = recipeFile(text);
    assert.throws(
      () => readRecipe(made.file),
      (error) => isCellarError(error, 'E_CONFIG') && problem.test(error.message),
      text,
    );
  }
});

test('what --set gives has to be declared or used', () => {
  const text =
    'base: a:${release}\nvariables: {port: 80, user-name: x}\nrun: [echo $mode, "echo ${level:-1}"]\nfiles: [{dest: /x, content: "${#list} ${in-file}"}]\n';
  for (const name of ['release', 'port', 'user-name', 'mode', 'level', 'list', 'in-file']) {
    using made = recipeFile(text);
    assert.equal(readRecipe(made.file, { [name]: 'given' }).variables[name], 'given');
  }
  const refused: Readonly<Record<string, readonly [problem: RegExp, hint: RegExp]>> = {
    prot: [/recipe\.yaml:2:12: the recipe has no variable 'prot'/, /^did you mean 'port'\?$/],
    echo: [/no variable 'echo'/, /^it declares port, user-name; define it under variables:$/],
    run: [/no variable 'run'/, /variables:/],
    'a b': [/'a b' cannot be a variable/, /^$/],
    ['__proto__']: [/no variable '__proto__'/, /variables:/],
  };
  for (const [name, [problem, hint]] of Object.entries(refused)) {
    using made = recipeFile(text);
    assert.throws(
      () => readRecipe(made.file, { port: '1', [name]: 'hush' }),
      (error) =>
        isCellarError(error, 'E_CONFIG') &&
        problem.test(error.message) &&
        hint.test(error.hint ?? '') &&
        !JSON.stringify(error).includes('hush'),
      name,
    );
  }
  using none = recipeFile('base: a\n');
  assert.throws(
    () => readRecipe(none.file, { port: '1' }),
    (error) => isCellarError(error, 'E_CONFIG') && error.hint?.startsWith('it declares none') === true,
  );
});

test('the digest of the inputs follows what they are, not where they are', () => {
  const text = 'base: a\nfiles: [{dest: /x, from: files}]\nrun: make\nlabels: {a: b}\n';
  const digest = (directory: string, clock?: number): string => {
    const recipe = readRecipe(join(directory, 'recipe.yaml'));
    return inputsDigest({ recipe, tree: 'a'.repeat(64), platform: 'linux/amd64', clock });
  };
  const fill = (directory: string, content: string): void => {
    mkdirSync(join(directory, 'files'), { recursive: true });
    writeFileSync(join(directory, 'files/a'), content);
    for (const name of ['files/a', 'files']) utimesSync(join(directory, name), 1e9, 1e9);
  };
  using one = recipeFile(text);
  using two = recipeFile(text);
  fill(one.directory, 'x');
  fill(two.directory, 'x');
  assert.equal(digest(one.directory), digest(two.directory));
  utimesSync(join(two.directory, 'files/a'), 2e9, 2e9);
  assert.notEqual(digest(one.directory), digest(two.directory));
  assert.equal(digest(one.directory, 1), digest(two.directory, 1));
  fill(two.directory, 'y');
  assert.notEqual(digest(one.directory, 1), digest(two.directory, 1));
  rmSync(join(two.directory, 'files/a'));
  symlinkSync('b', join(two.directory, 'files/a'));
  const linked = digest(two.directory, 1);
  rmSync(join(two.directory, 'files/a'));
  // Nobody writes to it, so whoever reads it waits for ever.
  execFileSync('mkfifo', [join(two.directory, 'files/a')]);
  assert.notEqual(digest(two.directory, 1), linked);
  rmSync(join(two.directory, 'files'), { recursive: true });
  assert.notEqual(digest(two.directory, 1), linked);
});
