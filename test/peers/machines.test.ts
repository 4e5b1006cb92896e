/**
 * What runs on machine: targets with the program that operators use: systemd-nspawn. No systemd is needed as process 1;
 * machines run one program and no init.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, lstatSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { machineSite, type MachineSite } from '../support/machine-site.ts';
import { needs, run, sh } from '../support/run.ts';
import { smallRoot } from '../support/small-root.ts';

let site: MachineSite;

before(async () => {
  site = await machineSite();
});

after(async () => {
  await site[Symbol.asyncDispose]();
});

describe('machine:NAME', { skip: needs({ root: true, programs: ['systemd-nspawn'] }) }, () => {
  const nspawn = ['systemd-nspawn', '--register=no', '--keep-unit', '-q', '--pipe', '--as-pid2', '-D'];
  const machine = (name: string): string => join(site.env.CELLAR_MACHINES, name);
  const inside = async (name: string, script: string): Promise<string> => {
    const done = await run([...nspawn, machine(name), '/bin/sh', '-c', script]);
    assert.equal(done.code, 0, done.stderr);
    return done.stdout.toString();
  };

  test('deployed, run, written to, rolled back and taken away', async () => {
    const first = await site.ok('deploy', 'small:1', 'machine:web1');
    assert.equal(first['path'], machine('web1'));
    assert.equal(await inside('web1', 'cat /etc/version; echo mine >/etc/own'), '1\n');
    assert.equal(await inside('web1', 'cat /etc/own'), 'mine\n');
    const second = await site.ok('deploy', 'small:2', 'machine:web1');
    assert.equal(second['previous'], 1);
    assert.equal(await inside('web1', 'cat /etc/version; ls /etc/own 2>/dev/null || echo none'), '2\nnone\n');
    await site.ok('rollback', 'machine:web1');
    assert.equal(await inside('web1', 'cat /etc/version /etc/own'), '1\nmine\n');
    await site.ok('undeploy', 'machine:web1');
    assert.equal(lstatSync(machine('web1'), { throwIfNoEntry: false }), undefined);
    assert.equal(existsSync(machine('.#web1.cellar')), false);
  });

  test('targets lists it, and those that others made', async () => {
    await site.ok('deploy', 'small:1', 'machine:ours');
    const theirs = machine('theirs');
    await smallRoot(theirs);
    writeFileSync(machine('disk.raw'), 'x'.repeat(8192));
    await site.fails('E_TARGET_FOREIGN', 'deploy', 'small:1', 'machine:theirs');
    const up = await site.start([
      ...nspawn,
      machine('ours'),
      '/bin/sh',
      '-c',
      'echo mine >/srv/own; echo is up; sleep 600',
    ]);
    const { targets } = (await site.ok('targets')) as { targets: Record<string, unknown>[] };
    const shown = targets.map(({ name, state, version, reference }) => [name, state, version, reference]);
    assert.deepEqual(
      shown.filter(([name]) => String(name).startsWith('machine:')),
      [
        ['machine:disk', 'stopped', undefined, undefined],
        ['machine:ours', 'running', 1, 'small:1'],
        ['machine:theirs', 'stopped', undefined, undefined],
      ],
    );
    const bytes = (name: string): number =>
      targets.find((target) => target['name'] === name)!['bytes'] as number;
    assert.equal(bytes('machine:disk'), 8192);
    assert.ok(bytes('machine:ours') < 100_000, 'only its changes');
    assert.ok(bytes('machine:theirs') > 1_000_000, 'all of it');
    const tar = join(site.path, 'theirs.tar.zst');
    await site.ok('export', 'machine:theirs', tar);
    assert.match(await sh(`zstd -dc ${tar} | tar -t`), /^\.\/etc\/os-release$/m);
    const running = join(site.path, 'ours.tar');
    await site.ok('export', 'machine:ours', running);
    const members = await sh(`tar -tf ${running}`);
    assert.match(members, /^\.\/srv\/own$/m);
    assert.doesNotMatch(members, /var\/theirs/);
    const ended = once(up, 'exit');
    up.kill('SIGTERM');
    await ended;
    await site.ok('undeploy', 'machine:ours');
  });

  test('refused while it runs; stopped and started again with the commands for it', async () => {
    await site.ok('deploy', 'small:1', 'machine:web2');
    const up = await site.start([...nspawn, machine('web2'), '/bin/sh', '-c', 'echo is up; sleep 600']);
    const said = await site.fails('E_TARGET_IN_USE', 'deploy', 'small:2', 'machine:web2');
    assert.match(said, /process \d+ \(s/);
    await site.fails('E_TARGET_IN_USE', 'undeploy', 'machine:web2');
    await site.fails('E_TARGET_IN_USE', 'undeploy', 'machine:web2', '--dry-run');
    const log = join(site.path, 'web2.log');
    const ended = once(up, 'exit');
    await site.ok(
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
    await site.ok('undeploy', 'machine:web2');
  });

  test('a failing check puts the old version back and starts it again', async () => {
    await site.ok('deploy', 'small:1', 'machine:web3');
    const up = await site.start([...nspawn, machine('web3'), '/bin/sh', '-c', 'echo is up; sleep 600']);
    const log = join(site.path, 'web3.log');
    await site.fails(
      'E_DEPLOY_HANDLER',
      ...['deploy', 'small:2', 'machine:web3', '--check', 'exit 7'],
      ...['--stop', `kill ${up.pid}`, '--start', `cat $CELLAR_PATH/etc/version >>${log}`],
    );
    // Nothing ran any more when it was put back, so it was stopped once; it was started with each version.
    assert.equal(readFileSync(log, 'utf8'), '2\n1\n');
    assert.match(readlinkSync(machine('web3')), /^\.#web3\.cellar\/1-/);
    await site.ok('undeploy', 'machine:web3');
  });
});
