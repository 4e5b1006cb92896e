/** A start that is owed is paid, whatever happens between the stop and it; and only once. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Digest } from '../../core/digest.ts';
import { isCellarError } from '../../core/errors.ts';
import { deploymentsOf } from '../../store/deployments.ts';
import { openStore } from '../../store/store.ts';
import { makeScratch } from '../../../test/support/scratch.ts';
import { activeRow } from './deployment-rows.ts';
import { deployVersion, recover, type Engine, type NewDeployment } from '../engine.ts';
import type { Target, Version, Workbench } from '../port.ts';

const digest = 'a'.repeat(64) as Digest;

/** A target that is one file with the id in service; it "runs" while the file `up` is there. */
function fixture(directory: string): {
  engine: Engine;
  log: () => string;
  up: () => void;
  failing: { activate: boolean };
  deploy: (version: number, commands: { stop?: string; start?: string; check?: string }) => Promise<unknown>;
} {
  const [log, up, active] = ['log', 'up', 'active'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  const failing = { activate: false };
  const target: Target = {
    name: 'fake:web',
    writable: true,
    seesUsers: true,
    look: async () => ({
      ...(existsSync(active) ? { active: readFileSync(active, 'utf8') } : {}),
      users: existsSync(up) ? ['process 1'] : [],
    }),
    stage: async () => ({}),
    async activate(id) {
      if (failing.activate) throw new Error('the machine died');
      writeFileSync(active, id);
    },
    deactivate: async () => rmSync(active),
    discard: async () => undefined,
  };
  const bench = { signal: new AbortController().signal, events: () => undefined } as unknown as Workbench;
  const engine: Engine = {
    store: openStore(join(directory, 'store'), { create: true }),
    target,
    bench,
    patienceMs: 200,
  };
  return {
    engine,
    failing,
    log: () => (existsSync(log) ? readFileSync(log, 'utf8') : ''),
    up: () => writeFileSync(up, ''),
    async deploy(version, given) {
      // In one pass: the name of the scratch directory may hold such letters itself.
      const replace = (text: string): string =>
        text.replace(/LOG|UP/g, (name) => (name === 'LOG' ? log : up));
      const commands = Object.fromEntries(Object.entries(given).map(([name, text]) => [name, replace(text)]));
      const id = `${version}-aaaaaaaa`;
      const row = { version, id, reference: 'web', image: digest, kind: 'tree', content: digest };
      const rest = { platform: 'linux/amd64', parameters: {}, inputs: digest, writable: true };
      const handlers = { ...commands, state: 'none' };
      return await deployVersion(
        engine,
        { ...row, ...rest, handlers, provenance: {} } as unknown as NewDeployment,
        { id } as Version,
      );
    },
  };
}

const commands = { stop: 'rm UP; echo stop >>LOG', start: 'touch UP; echo start $CELLAR_VERSION >>LOG' };

test('nothing is stopped or started where nothing runs', async () => {
  using scratch = makeScratch('stop');
  const { deploy, log } = fixture(scratch.path);
  await deploy(1, commands);
  assert.equal(log(), '');
});

test('what ran is stopped, and started when the switch is done', async () => {
  using scratch = makeScratch('stop');
  const { engine, deploy, log, up } = fixture(scratch.path);
  await deploy(1, {});
  up();
  await deploy(2, commands);
  assert.equal(log(), 'stop\nstart 2\n');
  assert.equal(activeRow(engine.store, 'fake:web')?.handlers.stopped, undefined);
});

test('a switch that fails starts the old version again', async () => {
  using scratch = makeScratch('stop');
  const { deploy, log, up, failing } = fixture(scratch.path);
  await deploy(1, {});
  up();
  failing.activate = true;
  await assert.rejects(deploy(2, commands), /the machine died/);
  assert.equal(log(), 'stop\nstart 1\n');
});

test('a check that fails stops the new version, and starts the old one', async () => {
  using scratch = makeScratch('stop');
  const { deploy, log, up } = fixture(scratch.path);
  await deploy(1, {});
  up();
  await assert.rejects(deploy(2, { ...commands, check: 'exit 1' }), (error) =>
    isCellarError(error, 'E_DEPLOY_HANDLER'),
  );
  assert.equal(log(), 'stop\nstart 2\nstop\nstart 1\n');
});

test('a stop command that stops nothing ends it before the switch', async () => {
  using scratch = makeScratch('stop');
  const { engine, deploy, up } = fixture(scratch.path);
  await deploy(1, {});
  up();
  await assert.rejects(deploy(2, { stop: 'true', start: 'true' }), (error) =>
    isCellarError(error, 'E_TARGET_IN_USE'),
  );
  assert.deepEqual(
    deploymentsOf(engine.store, 'fake:web').map(({ state }) => state),
    ['active', 'failed'],
  );
});

test('a process killed between stop and start leaves the start owed, and the next command pays', async () => {
  using scratch = makeScratch('stop');
  const { engine, deploy, log, up } = fixture(scratch.path);
  await deploy(1, {});
  up();
  // What such a process has written: the row of the version that it was switching to, owing a start.
  const row = activeRow(engine.store, 'fake:web')!;
  const key = 'fake:web\n000000002';
  const handlers = { stop: 'true', start: `echo start >>${scratch.path}/log`, stopped: true, state: 'none' };
  const { activated: _activated, ...killed } = row;
  engine.store.rows.write([
    {
      kind: 'deployment',
      key,
      value: { ...killed, version: 2, id: '2-aaaaaaaa', state: 'switching', handlers },
    },
  ]);
  rmSync(join(scratch.path, 'up'));
  await recover(engine);
  assert.equal(log(), 'start\n');
  assert.equal(activeRow(engine.store, 'fake:web')?.version, 1);
  await recover(engine);
  assert.equal(log(), 'start\n');
});

test('where the switch cannot be written down, the old version is put back and started all the same', async () => {
  using scratch = makeScratch('stop');
  const { engine, deploy, log, up } = fixture(scratch.path);
  await deploy(1, {});
  up();
  const { activate } = engine.target;
  const full = new Error('the disk is full');
  Object.assign(engine.target, {
    activate: async (id: string, bench: Workbench) => {
      await activate(id, bench);
      Object.assign(engine.store.rows, {
        update: () => {
          throw full;
        },
      });
    },
  });
  await assert.rejects(deploy(2, commands), (error) => error === full);
  assert.match((await engine.target.look()).active ?? '', /^1-/);
  assert.equal(log(), 'stop\nstart 1\n');
});
