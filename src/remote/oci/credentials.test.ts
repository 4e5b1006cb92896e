import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { makeScratch } from '../../../test/support/scratch.ts';
import { isCellarError } from '../../core/errors.ts';
import { credentialFiles, storedCredentials } from './credentials.ts';

const { signal } = new AbortController();
const auth = (user: string, password: string) => ({
  auth: Buffer.from(`${user}:${password}`).toString('base64'),
});

/** A home with these files; what is found for `registry/name` in it. */
async function find(files: Record<string, unknown>, image: string, more: Record<string, string> = {}) {
  using home = makeScratch('credentials');
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(home.path, path)), { recursive: true });
    writeFileSync(join(home.path, path), typeof content === 'string' ? content : JSON.stringify(content));
    if (path.startsWith('bin/')) chmodSync(join(home.path, path), 0o755);
  }
  const environment = {
    HOME: home.path,
    XDG_RUNTIME_DIR: join(home.path, 'run'),
    PATH: `${join(home.path, 'bin')}:${process.env['PATH']}`,
    ...Object.fromEntries(Object.entries(more).map(([name, path]) => [name, join(home.path, path)])),
  };
  const slash = image.indexOf('/');
  const repository = { registry: image.slice(0, slash), name: image.slice(slash + 1) };
  return await storedCredentials(repository, { environment, signal });
}

test('the files, in their order', () => {
  const environment = { HOME: '/h', XDG_RUNTIME_DIR: '/r' };
  assert.deepEqual(credentialFiles(environment), [
    '/r/containers/auth.json',
    '/h/.config/containers/auth.json',
    '/h/.docker/config.json',
  ]);
  assert.deepEqual(credentialFiles({ ...environment, DOCKER_CONFIG: '/d', XDG_CONFIG_HOME: '/c' }), [
    '/r/containers/auth.json',
    '/c/containers/auth.json',
    '/d/config.json',
  ]);
  assert.equal(credentialFiles({ HOME: '/h' })[0], `/run/containers/${process.getuid!()}/auth.json`);
  assert.deepEqual(credentialFiles({ ...environment, REGISTRY_AUTH_FILE: '/a' }), ['/a']);
});

test('nothing stored is nothing found', async () => {
  assert.equal(await find({}, 'quay.io/a'), undefined);
  assert.equal(
    await find({ '.docker/config.json': { auths: { 'other.io': auth('u', 'p') } } }, 'quay.io/a'),
    undefined,
  );
  assert.equal(await find({ '.docker/config.json': { auths: { 'quay.io': {} } } }, 'quay.io/a'), undefined);
});

test('the most specific key wins, in the first file that has one', async () => {
  const table = {
    auths: { 'quay.io': auth('host', 'p'), 'quay.io/a': auth('a', 'p:q'), 'quay.io/a/b/c': auth('abc', 'p') },
  };
  const files = {
    'run/containers/auth.json': table,
    '.docker/config.json': { auths: { 'quay.io/a/b': auth('x', 'p') } },
  };
  assert.deepEqual(await find(files, 'quay.io/a/b'), { username: 'a', password: 'p:q' });
  assert.deepEqual(await find(files, 'quay.io/a/b/c'), { username: 'abc', password: 'p' });
  assert.deepEqual(await find(files, 'quay.io/ab'), { username: 'host', password: 'p' });
  assert.deepEqual(
    await find({ elsewhere: table, ...files }, 'quay.io/z', { REGISTRY_AUTH_FILE: 'elsewhere' }),
    {
      username: 'host',
      password: 'p',
    },
  );
});

test("Docker's ways to write a server, and to keep a token", async () => {
  const at = (server: string, entry: unknown) => ({ '.docker/config.json': { auths: { [server]: entry } } });
  const wanted = { username: 'u', password: 'p' };
  assert.deepEqual(
    await find(at('https://index.docker.io/v1/', auth('u', 'p')), 'docker.io/library/a'),
    wanted,
  );
  assert.deepEqual(await find(at('https://quay.io/v2/', auth('u', 'p')), 'quay.io/a'), wanted);
  assert.deepEqual(await find(at('h:5000', { username: 'u', password: 'p' }), 'h:5000/a'), wanted);
  assert.deepEqual(await find(at('quay.io', { ...auth('u', 'p'), identitytoken: 't' }), 'quay.io/a'), {
    identityToken: 't',
  });
  assert.deepEqual(await find(at('quay.io', { registrytoken: 't' }), 'quay.io/a'), { bearer: 't' });
});

test('helpers: asked on their standard input, for one server or for all', async () => {
  const helper = `#!/bin/sh
read -r server
[ "$*" = get ] || exit 9
case $server in
none.io) echo 'credentials not found in native keychain'; exit 1 ;;
token.io) echo '{"ServerURL":"x","Username":"<token>","Secret":"idt"}' ;;
*) echo "{\\"ServerURL\\":\\"x\\",\\"Username\\":\\"$server\\",\\"Secret\\":\\"s\\"}" ;;
esac
`;
  const files = {
    'bin/docker-credential-fake': helper,
    '.docker/config.json': {
      credsStore: 'fake',
      credHelpers: { 'special.io': 'missing-helper' },
      auths: { 'none.io': auth('from', 'file') },
    },
  };
  assert.deepEqual(await find(files, 'quay.io/a'), { username: 'quay.io', password: 's' });
  assert.deepEqual(await find(files, 'docker.io/library/a'), {
    username: 'https://index.docker.io/v1/',
    password: 's',
  });
  assert.deepEqual(await find(files, 'token.io/a'), { identityToken: 'idt' });
  assert.deepEqual(await find(files, 'none.io/a'), { username: 'from', password: 'file' });
  await assert.rejects(find(files, 'special.io/a'), /docker-credential-missing-helper .* not on the PATH/);
});

test('what is broken is refused, and nothing of it is repeated', async () => {
  const config = (content: unknown) => ({ '.docker/config.json': content });
  const withHelper = (script: string) => ({
    'bin/docker-credential-fake': `#!/bin/sh\n${script}\n`,
    ...config({ credsStore: 'fake' }),
  });
  const broken = [
    config('{"auths": {"quay.io": {"auth": "hunter2'),
    config(['hunter2']),
    config({ auths: { 'quay.io': { auth: Buffer.from('hunter2').toString('base64') } } }),
    config({ credsStore: '../hunter2' }),
    withHelper('echo hunter2; echo hunter2 >&2; exit 3'),
    withHelper('echo \'{"Secret":"hunter2"}\''),
    withHelper('echo hunter2'),
  ];
  for (const files of broken)
    await assert.rejects(find(files, 'quay.io/a'), (error) => {
      assert.ok(isCellarError(error, 'E_CREDENTIALS'));
      const told = JSON.stringify([error.message, error.details, String(error.cause)]);
      assert.ok(!told.includes('hunter2') || JSON.stringify(files).includes('../hunter2'), told);
      return true;
    });
});
