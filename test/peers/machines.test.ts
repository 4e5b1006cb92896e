/**
 * What runs on machine: and lxc: targets with the programs that operators use: systemd-nspawn, lxc-execute and
 * lxc-copy. No systemd is needed as process 1; containers run one program and no init.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { cellar, cellarOk } from '../support/cellar.ts';
import { needs, run, sh } from '../support/run.ts';
import { makeScratch, type Scratch } from '../support/scratch.ts';

/** A root with a shell and a few programs of this machine, and the libraries that they need. */
async function smallRoot(path: string): Promise<void> {
  for (const name of ['bin', 'dev', 'etc', 'proc', 'root', 'run', 'sys', 'tmp', 'usr', 'var', 'srv'])
    mkdirSync(join(path, name), { recursive: true });
  for (const program of ['sh', 'sleep', 'cat', 'touch', 'ls'])
    copyWithLibraries(path, `/bin/${program}`, (await sh(`ldd $(which ${program})`)).match(/\/\S+/g) ?? []);
  writeFileSync(join(path, 'etc/os-release'), 'ID=small\nPRETTY_NAME="small"\n');
  writeFileSync(join(path, 'etc/hostname'), 'LXC_NAME\n');
}

function copyWithLibraries(path: string, program: string, libraries: readonly string[]): void {
  for (const file of [program, ...libraries]) {
    const to = join(path, file);
    if (existsSync(to)) continue;
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(realpathSync(file), to);
  }
}

let scratch: Scratch;
let store: string;
let env: Readonly<Record<string, string>>;

before(async () => {
  scratch = makeScratch('machines');
  store = join(scratch.path, 'store');
  const machines = join(scratch.path, 'machines');
  const containers = join(scratch.path, 'lxc');
  for (const directory of [machines, containers]) mkdirSync(directory);
  env = { CELLAR_MACHINES: machines, CELLAR_LXC_PATH: containers };
  const root = join(scratch.path, 'root');
  await smallRoot(root);
  for (const version of ['1', '2']) {
    writeFileSync(join(root, 'etc/version'), `${version}\n`);
    await cellarOk(['import', root, `small:${version}`], { store });
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

async function fails(code: string, ...args: string[]): Promise<string> {
  const done = await cellar(args, { store, env });
  assert.match(done.stderr, new RegExp(code));
  assert.notEqual(done.code, 0);
  return done.stderr;
}

/** A container that runs until it is killed. Waits until `says` is what it prints. */
async function start(command: readonly string[]): Promise<ChildProcess> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => (said += data.toString()));
  for (let attempt = 0; !said.includes('is up'); attempt++) {
    if (child.exitCode !== null || attempt > 300) throw new Error(`${command.join(' ')}: ${said}`);
    await setTimeout(50);
  }
  return child;
}

describe('machine:NAME', { skip: needs({ root: true, programs: ['systemd-nspawn'] }) }, () => {
  const nspawn = ['systemd-nspawn', '--register=no', '--keep-unit', '-q', '--pipe', '--as-pid2', '-D'];
  const machine = (name: string): string => join(env['CELLAR_MACHINES']!, name);
  const inside = async (name: string, script: string): Promise<string> => {
    const done = await run([...nspawn, machine(name), '/bin/sh', '-c', script]);
    assert.equal(done.code, 0, done.stderr);
    return done.stdout.toString();
  };

  test('deployed, run, written to, rolled back and taken away', async () => {
    const first = await ok('deploy', 'small:1', 'machine:web1');
    assert.equal(first['path'], machine('web1'));
    assert.equal(await inside('web1', 'cat /etc/version; echo mine >/etc/own'), '1\n');
    assert.equal(await inside('web1', 'cat /etc/own'), 'mine\n');
    const second = await ok('deploy', 'small:2', 'machine:web1');
    assert.equal(second['previous'], 1);
    assert.equal(await inside('web1', 'cat /etc/version; ls /etc/own 2>/dev/null || echo none'), '2\nnone\n');
    await ok('rollback', 'machine:web1');
    assert.equal(await inside('web1', 'cat /etc/version /etc/own'), '1\nmine\n');
    await ok('undeploy', 'machine:web1');
    assert.equal(lstatSync(machine('web1'), { throwIfNoEntry: false }), undefined);
    assert.equal(existsSync(machine('.#web1.cellar')), false);
  });

  test('refused while it runs; stopped and started again with the commands for it', async () => {
    await ok('deploy', 'small:1', 'machine:web2');
    const up = await start([...nspawn, machine('web2'), '/bin/sh', '-c', 'echo is up; sleep 600']);
    const said = await fails('E_TARGET_IN_USE', 'deploy', 'small:2', 'machine:web2');
    assert.match(said, /process \d+ \(s/);
    await fails('E_TARGET_IN_USE', 'undeploy', 'machine:web2');
    const log = join(scratch.path, 'web2.log');
    const ended = once(up, 'exit');
    await ok(
      ...['deploy', 'small:2', 'machine:web2'],
      ...[
        '--stop',
        `echo stop >>${log}; kill ${up.pid}`,
        '--start',
        `echo start $(cat $CELLAR_PATH/etc/version) >>${log}`,
      ],
      ...['--on-change', `echo changed >>${log}`],
    );
    await ended;
    assert.equal(readFileSync(log, 'utf8'), 'stop\nstart 2\nchanged\n');
    assert.match(readlinkSync(machine('web2')), /^\.#web2\.cellar\/2-/);
    await ok('undeploy', 'machine:web2');
  });

  test('a failing check puts the old version back and starts it again', async () => {
    await ok('deploy', 'small:1', 'machine:web3');
    const up = await start([...nspawn, machine('web3'), '/bin/sh', '-c', 'echo is up; sleep 600']);
    const log = join(scratch.path, 'web3.log');
    await fails(
      'E_DEPLOY_HANDLER',
      ...['deploy', 'small:2', 'machine:web3', '--check', 'exit 7'],
      ...['--stop', `kill ${up.pid}`, '--start', `cat $CELLAR_PATH/etc/version >>${log}`],
    );
    // Nothing ran any more when it was put back, so it was stopped once; it was started with each version.
    assert.equal(readFileSync(log, 'utf8'), '2\n1\n');
    assert.match(readlinkSync(machine('web3')), /^\.#web3\.cellar\/1-/);
    await ok('undeploy', 'machine:web3');
  });
});
