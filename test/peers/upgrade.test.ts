/**
 * `upgrade` of what real containers have written to: the changes are made by programs inside systemd-nspawn and LXC, so
 * that the kernel lays them down in the upper as it does in service: metadata alone, directories under another name,
 * directories that hide what was below them.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cellar, cellarOk } from '../support/cellar.ts';
import { needs, run, sh } from '../support/run.ts';
import { makeScratch, type Scratch } from '../support/scratch.ts';
import { smallRoot } from '../support/small-root.ts';

/** Files that a version has beside its programs; absent ones are gone from it. */
type Files = Readonly<Record<string, string>>;

const first: Files = {
  ...{ 'etc/conf': 'short\n', 'etc/gone': 'here\n', 'usr/lib/v': '1\n', 'usr/old/f': 'f\n' },
  ...{ 'srv/dir/x': '1\n', 'srv/dir/y': '1\n', 'opt/data/a': 'a\n', 'opt/data/b': 'b\n' },
};
/** Touches nothing that the instance did, but adds to a directory that it emptied. */
const second: Files = { ...first, 'usr/lib/v': '2\n', 'usr/new': 'new\n', 'opt/data/c': 'c\n' };
const { 'etc/gone': _, ...rest } = second;
const third: Files = {
  ...rest,
  ...{ 'etc/conf': 'much longer than it was before\n', 'srv/dir/x': '3\n', 'opt/data/a': 'again\n' },
};

const changes = [
  'chmod 600 /etc/conf /etc/gone',
  'mv /srv/dir /srv/moved',
  'mv /usr/old /usr/renamed',
  'rm -r /opt/data && mkdir /opt/data && echo own >/opt/data/own',
  'echo own >/etc/own',
].join(' && ');

let scratch: Scratch;
let store: string;
let env: Readonly<Record<string, string>>;

before(async () => {
  scratch = makeScratch('upgrade');
  store = join(scratch.path, 'store');
  env = { CELLAR_MACHINES: join(scratch.path, 'machines'), CELLAR_LXC_PATH: join(scratch.path, 'lxc') };
  for (const directory of Object.values(env)) mkdirSync(directory);
  const root = join(scratch.path, 'root');
  await smallRoot(root, ['chmod', 'mv', 'rm', 'mkdir', 'stat']);
  for (const [tag, files] of Object.entries({ 1: first, 2: second, 3: third })) {
    for (const name of ['opt', 'srv/dir', 'usr/old', 'etc/gone'])
      rmSync(join(root, name), { recursive: true, force: true });
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(join(root, name), text);
    }
    await cellarOk(['import', root, `small:${tag}`], { store });
  }
});

after(async () => {
  const mounts = await sh(`awk -v p=${scratch.path}/ 'index($2,p)==1{print $2}' /proc/mounts`);
  for (const mount of mounts.split('\n').filter(Boolean).toReversed()) await run(['umount', '-l', mount]);
  scratch[Symbol.dispose]();
});

async function ok(...args: string[]): Promise<Record<string, unknown>> {
  return await cellarOk(args, { store, env });
}

type Inside = (script: string) => Promise<string>;

/** Moves with ease, then into conflicts, each way. */
async function upgradeThrough(target: string, inside: Inside): Promise<void> {
  await inside(changes);
  const easy = await ok('upgrade', target, 'small:2');
  assert.deepEqual([easy['change'], easy['version'], easy['decided']], ['upgraded', 2, 0]);
  const state = 'cat /usr/lib/v /usr/new /usr/renamed/f /srv/moved/x /srv/moved/y /etc/own /etc/conf';
  assert.equal(await inside(state), '2\nnew\nf\n1\n1\nown\nshort\n');
  // What the instance emptied stays empty but for its own and for what is new in the base.
  assert.equal(
    await inside('ls /opt/data; stat -c %a /etc/conf; ls -d /usr/old /srv/dir 2>/dev/null || true'),
    'c\nown\n600\n',
  );
  const refused = await cellar(['--json', 'upgrade', target, 'small:3'], { store, env });
  assert.equal(refused.code, 1, refused.stderr);
  assert.match(refused.stderr, /E_UPGRADE_CONFLICT/);
  const found = ['/etc/conf', '/etc/gone', '/opt/data/a', '/srv/dir/x'];
  assert.match(refused.stderr, new RegExp(`: ${found.join(', ')}(?:\\n|"|$)`, 'm'));
  assert.equal(await inside('cat /usr/lib/v /etc/conf'), '2\nshort\n', 'nothing was touched');
  const mine = await ok('upgrade', target, 'small:3', '--take', 'mine');
  assert.deepEqual([mine['version'], mine['decided']], [3, found.length]);
  assert.equal(
    await inside('cat /etc/conf /etc/gone /srv/moved/x; stat -c %a /etc/conf /etc/gone; ls /opt/data /srv'),
    'short\nhere\n1\n600\n600\n/opt/data:\nc\nown\n\n/srv:\nmoved\n',
  );
  await ok('rollback', target, '2');
  const next = await ok('upgrade', target, 'small:3', '--take', 'next');
  assert.equal(next['decided'], found.length);
  assert.equal(
    await inside(
      'cat /etc/conf /srv/dir/x /srv/moved/x /opt/data/a /etc/own; ls -d /etc/gone 2>/dev/null || echo none',
    ),
    'much longer than it was before\n3\n1\nagain\nown\nnone\n',
  );
  const differences = await ok('diff', 'small:3', target, '--no-mtime');
  const paths = (key: string): string[] => (differences[key] as { path: string }[]).map(({ path }) => path);
  const has = (key: string, path: string): void =>
    assert.ok(paths(key).includes(path), `${key}: ${paths(key).join(' ')}`);
  for (const path of ['/etc/own', '/srv/moved', '/srv/moved/x', '/usr/renamed/f', '/opt/data/own'])
    has('added', path);
  for (const path of ['/srv/dir/y', '/usr/old/f', '/opt/data/b']) has('removed', path);
  assert.deepEqual(
    paths('changed').filter((path) => path.startsWith('/etc/conf')),
    [],
  );
  await ok('undeploy', target);
}

describe('machine:', { skip: needs({ root: true, programs: ['systemd-nspawn'] }) }, () => {
  test('what systemd-nspawn wrote moves to a newer base', async () => {
    await ok('deploy', 'small:1', 'machine:up');
    const directory = join(env['CELLAR_MACHINES']!, 'up');
    await upgradeThrough('machine:up', async (script) => {
      const flags = ['--register=no', '--keep-unit', '-q', '--pipe', '--as-pid2', '-D', directory];
      const done = await run(['systemd-nspawn', ...flags, '/bin/sh', '-c', script]);
      assert.equal(done.code, 0, done.stderr);
      return done.stdout.toString();
    });
    assert.equal(existsSync(directory), false);
  });
});

describe('lxc:', { skip: needs({ root: true, programs: ['lxc-start', 'lxc-execute', 'lxc-stop'] }) }, () => {
  const containers = (): string => env['CELLAR_LXC_PATH']!;
  /** No bridge is there, and the defaults of this machine ask for one. */
  const withoutNetwork = (name: string): void => {
    const file = join(containers(), name, 'config');
    const own = readFileSync(file, 'utf8').replace(/^lxc\.(?:net|apparmor|include).*\n/gm, '');
    writeFileSync(file, `${own}lxc.net.0.type = empty\n`);
  };
  const inside =
    (name: string): Inside =>
    async (script) => {
      const done = await run(['lxc-execute', '-P', containers(), '-n', name, '--', '/bin/sh', '-c', script]);
      assert.equal(done.code, 0, done.stderr);
      return done.stdout.toString();
    };

  test('what a container wrote moves to a newer base', async () => {
    await ok('deploy', 'small:1', 'lxc:up');
    withoutNetwork('up');
    await upgradeThrough('lxc:up', inside('up'));
    assert.equal(existsSync(join(containers(), 'up')), false);
  });

  test('one that runs is stopped, upgraded and started again', async () => {
    await ok('deploy', 'small:1', 'lxc:stopped');
    withoutNetwork('stopped');
    const where = ['-P', containers(), '-n', 'stopped'];
    const up = spawn(
      'lxc-start',
      ['-F', ...where, '--', '/bin/sh', '-c', 'echo last >/srv/last; sleep 600'],
      {
        stdio: 'ignore',
      },
    );
    const ended = once(up, 'exit');
    assert.equal((await run(['lxc-wait', ...where, '-s', 'RUNNING', '-t', '20'])).code, 0);
    const refused = await cellar(['upgrade', 'lxc:stopped', 'small:2'], { store, env });
    assert.match(refused.stderr, /E_TARGET_IN_USE/);
    const log = join(scratch.path, 'live.log');
    const stop = `lxc-stop -k -P ${containers()} -n stopped && echo stop >>${log}`;
    await ok(
      ...['upgrade', 'lxc:stopped', 'small:2', '--stop', stop],
      ...['--start', `cat $CELLAR_PATH/usr/lib/v $CELLAR_PATH/srv/last >>${log}`],
    );
    await ended;
    assert.equal(readFileSync(log, 'utf8'), 'stop\n2\nlast\n');
    await ok('undeploy', 'lxc:stopped');
  });
});
