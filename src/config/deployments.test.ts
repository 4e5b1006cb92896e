import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scratchDirectory } from '../../test/support/filesystem.ts';
import { isCellarError } from '../core/errors.ts';
import { selectDeployments } from './deployments.ts';
import { loadConfig, type LoadedConfig } from './load.ts';
import { settleParameters, splitWords } from './parameters.ts';

const two = `
deploy-defaults: {keep: 5, on-change: reload, parameters: {host: defaults, zone: a}}
deployments:
  foo: {image: app, target: "dir:/srv/foo", groups: [web, all], mode: 0750, owner: "1:2", parameters: {host: foo}}
  foobar: {image: "app@{1}", target: "dir:/srv/foobar", groups: all, keep: 1, parameters: {X: own}}
`;

test('a deployment says what it says, and has the defaults for the rest', () => {
  const [foo, foobar] = load(two).deployments;
  assert.ok(foo !== undefined && foobar !== undefined);
  assert.deepEqual(foo, {
    ...{ name: 'foo', image: 'app', target: 'dir:/srv/foo', groups: ['web', 'all'] },
    ...{ keep: 5, onChange: 'reload', mode: 0o750, owner: { uid: 1, gid: 2 } },
    parameters: { host: 'foo', zone: 'a' },
    imagePlaces: foo.imagePlaces,
  });
  assert.equal(foobar.keep, 1);
  assert.deepEqual(foobar.parameters, { host: 'defaults', zone: 'a', X: 'own' });
});

test('each image that a deployment names has its place', () => {
  const [web] = load(`deployments:
  web:
    target: dir:/srv/web
    image: app
    nested:
      initrd: {path: boot/i.gz, image: initramfs}
`).deployments;
  const places = [...(web?.imagePlaces ?? [])].map(([name, place]) => `${name} ${place.replace(/.*\//, '')}`);
  assert.deepEqual(places.toSorted(), ['app cellar.yaml:4:5', 'initramfs cellar.yaml:6:33']);
});

test('names, groups and patterns mean deployments, in the order of the file', () => {
  const config = load(two);
  const named = (...names: string[]): string[] => selectDeployments(config, names).map(({ name }) => name);
  assert.deepEqual(named(), ['foo', 'foobar']);
  assert.deepEqual(named('foobar', 'foo', 'web'), ['foo', 'foobar']);
  assert.deepEqual(named('web'), ['foo']);
  assert.deepEqual(named('*bar'), ['foobar']);
  assert.throws(
    () => named('fo'),
    (error) => isCellarError(error, 'E_DEPLOYMENT_NAME') && error.hint === "did you mean 'foo'?",
  );
});

const mistakes: Readonly<Record<string, [text: string, message: RegExp]>> = {
  'a target twice': [
    'deployments: {a: {image: x, target: "dir:/x"}, b: {image: x, target: "dir:/x"}}',
    /given twice/,
  ],
  'a target twice, spelled in two ways': [
    'deployments: {a: {image: x, target: "dir:/x/y"}, b: {image: x, target: "dir:/x//z/../y/"}}',
    /target dir:\/x\/y is given twice/,
  ],
  'a group of that name': [
    'deployments: {a: {image: x, target: "dir:/x", groups: b}, b: {image: x, target: "dir:/y"}}',
    /'b' is the name of a group, too/,
  ],
  'no target': ['deployments: {a: {image: x}}', /deployments.a lacks 'target'/],
  'a path for a target': ['deployments: {a: {image: x, target: /x}}', /expected a target, kind:rest/],
  'no reference': ['deployments: {a: {image: X, target: "dir:/x"}}', /expected a reference or a digest/],
  'a dot in a name': [
    'deployments: {a.b: {image: x, target: "dir:/x"}}',
    /'a.b' in deployments is not a name/,
  ],
  'no mode': ['deploy-defaults: {mode: rwx}', /octal permission bits/],
  'an unknown key': ['deploy-defaults: {target: "dir:/x"}', /has no key 'target'/],
};

for (const [name, [text, message]] of Object.entries(mistakes))
  test(`refused: ${name}`, () => {
    assert.throws(
      () => load(text),
      (error) => isCellarError(error, 'E_CONFIG') && message.test(error.message),
    );
  });

function settled(
  words: readonly string[],
  env: Record<string, string> = {},
  text = two,
): Record<string, object> {
  const config = load(text);
  const { names, settings } = splitWords(words);
  return Object.fromEntries(settleParameters(config, selectDeployments(config, names), { settings, env }));
}

test('parameters: defaults, the deployment, the environment, the command line', () => {
  assert.deepEqual(settled(['foo'])['foo'], { host: 'foo', zone: 'a' });
  const env = { CELLAR_SET_FOO_HOST: 'env', CELLAR_SET_FOO_ZONE: 'env', OTHER: 'x' };
  assert.deepEqual(settled(['foo'], env)['foo'], { host: 'env', zone: 'env' });
  assert.deepEqual(settled(['foo', 'foo.host=a=b.c'], env)['foo'], { host: 'a=b.c', zone: 'env' });
  assert.deepEqual(settled(['foo', 'foo.new.key='])['foo'], { host: 'foo', zone: 'a', 'new.key': '' });
});

test('names are compared whole', () => {
  const { foo, foobar } = settled(['foobar.X=1', 'foobar.host=2']);
  assert.deepEqual(foo, { host: 'foo', zone: 'a' });
  assert.deepEqual(foobar, { host: '2', zone: 'a', X: '1' });
  assert.deepEqual(settled([], { CELLAR_SET_FOOBAR_X: 'e' })['foo'], { host: 'foo', zone: 'a' });
});

const refusals: Readonly<Record<string, [words: string[], env: Record<string, string>, message: RegExp]>> = {
  'an unknown deployment': [['fooba.X=secret'], {}, /no deployment.*'fooba'/],
  'a deployment that is not meant': [['foo', 'foobar.X=secret'], {}, /^foobar.X: foobar is not among/],
  'a group': [['web.X=secret'], {}, /no deployment/],
  'no key': [['foo.=secret'], {}, /^foo\.: a parameter is given as/],
  'no name': [['X=secret'], {}, /^X: a parameter is given as/],
  'the same twice': [['foo.X=secret', 'foo.X=2'], {}, /^foo.X: it is given twice/],
  'a variable of an unknown parameter': [[], { CELLAR_SET_FOO_BAR: 'secret' }, /^\$CELLAR_SET_FOO_BAR: /],
  'a variable of an unknown deployment': [[], { CELLAR_SET_FO_HOST: 'secret' }, /has no deployment with/],
};

for (const [name, [words, env, message]] of Object.entries(refusals))
  test(`refused: ${name}, without its value`, () => {
    assert.throws(
      () => settled(words, env),
      (error) =>
        isCellarError(error) && message.test(error.message) && !JSON.stringify(error).includes('secret'),
    );
  });

test('a variable that may mean two parameters is refused', () => {
  const text = `deployments:
  a: {image: x, target: "dir:/a", parameters: {b-c: "1"}}
  a-b: {image: x, target: "dir:/b", parameters: {c: "1"}}`;
  assert.throws(
    () => settled([], { CELLAR_SET_A_B_C: 'x' }, text),
    (error) => isCellarError(error, 'E_DEPLOYMENT_SETTING') && /a\.b-c or a-b\.c/.test(error.message),
  );
  assert.deepEqual(settled(['a.b-c=2'], {}, text), { a: { 'b-c': '2' }, 'a-b': { c: '1' } });
});

function load(text: string): LoadedConfig {
  using scratch = scratchDirectory();
  const path = join(scratch.path, 'cellar.yaml');
  writeFileSync(path, text);
  return loadConfig(path, {});
}
