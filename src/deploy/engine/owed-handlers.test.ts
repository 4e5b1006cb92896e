/** Handlers that a crash kept from running: they judge a version as they would have, and only what is in service. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Digest } from '../../core/digest.ts';
import { isCellarError } from '../../core/errors.ts';
import { deploymentsOf, planDeployment, type DeploymentRow, type Handlers } from '../../store/deployments.ts';
import { openStore } from '../../store/store.ts';
import { makeScratch } from '../../../test/support/scratch.ts';
import { activeRow } from './deployment-rows.ts';
import { prune } from './discard.ts';
import { deployVersion, fireOwed, recover, type Engine, type NewDeployment } from '../engine.ts';
import type { Target, Version, Workbench } from '../port.ts';

const digest = 'a'.repeat(64) as Digest;
const name = 'fake:web';
const id = (version: number): string => `${version}-aaaaaaaa`;

interface Fixture {
  readonly engine: Engine;
  /** Id of the version in service, as the target has it. */
  readonly inService: () => string | undefined;
  readonly states: () => string[];
  readonly deploy: (version: number, commands?: Partial<Handlers>) => Promise<unknown>;
  /** What a process has done that was killed after the switch to version 2, before its handlers. */
  readonly killedAfterSwitch: (commands: Partial<Handlers>) => DeploymentRow;
}

/** A target that is one file with the id in service. */
function fixture(directory: string): Fixture {
  const file = join(directory, 'active');
  const target: Target = {
    name,
    writable: false,
    look: async () => ({
      ...(existsSync(file) ? { active: readFileSync(file, 'utf8') } : {}),
      users: [],
    }),
    stage: async () => ({}),
    activate: async (wanted) => writeFileSync(file, wanted),
    deactivate: async () => rmSync(file),
    discard: async () => {
      if (existsSync(join(directory, 'dying'))) throw new Error('killed');
    },
  };
  const bench = { signal: new AbortController().signal, events: () => undefined } as unknown as Workbench;
  const store = openStore(join(directory, 'store'), { create: true });
  const engine: Engine = { store, target, bench };
  const inService = (): string | undefined => (existsSync(file) ? readFileSync(file, 'utf8') : undefined);
  const wanted = (version: number, commands: Partial<Handlers>): NewDeployment =>
    ({
      ...{ version, id: id(version), reference: 'web', image: digest, kind: 'tree', content: digest },
      ...{ platform: 'linux/amd64', parameters: {}, inputs: digest, writable: false, provenance: {} },
      handlers: { state: 'none', ...commands },
    }) as unknown as NewDeployment;
  return {
    ...{ engine, inService },
    states: () => deploymentsOf(store, name).map(({ version, state }) => `${version} ${state}`),
    deploy: async (version, commands = {}) =>
      await deployVersion(engine, wanted(version, commands), { id: id(version) } as Version),
    killedAfterSwitch(commands) {
      const before = activeRow(store, name);
      const row: DeploymentRow = {
        ...wanted(2, { ...commands, state: 'pending' }),
        ...{ target: name, state: 'active', created: 1, activated: 2 },
        ...(before === undefined ? {} : { previous: before.version }),
      };
      if (before !== undefined) store.rows.write([planDeployment({ ...before, state: 'retired' })]);
      store.rows.write([planDeployment(row)]);
      writeFileSync(file, id(2));
      return row;
    },
  };
}

const refused = (error: unknown): boolean => isCellarError(error, 'E_DEPLOY_HANDLER');

test('a version whose owed check fails is put back', async () => {
  using scratch = makeScratch('owed');
  const { engine, deploy, killedAfterSwitch, inService, states } = fixture(scratch.path);
  await deploy(1);
  const row = killedAfterSwitch({ check: 'exit 3' });
  await assert.rejects(fireOwed(engine, row), refused);
  assert.equal(inService(), id(1));
  assert.deepEqual(states(), ['1 active', '2 failed']);
});

test('a first version whose owed check fails is taken out of service', async () => {
  using scratch = makeScratch('owed');
  const { engine, killedAfterSwitch, inService, states } = fixture(scratch.path);
  await assert.rejects(fireOwed(engine, killedAfterSwitch({ check: 'exit 3' })), refused);
  assert.equal(inService(), undefined);
  assert.deepEqual(states(), ['2 failed']);
});

test('a version that had been in service before is put back, too, and can be rolled back to again', async () => {
  using scratch = makeScratch('owed');
  const { engine, deploy, killedAfterSwitch, inService, states } = fixture(scratch.path);
  await deploy(1);
  const row = killedAfterSwitch({ check: 'exit 3', ifRefused: 'keep' });
  await assert.rejects(fireOwed(engine, row), refused);
  assert.equal(inService(), id(1));
  assert.deepEqual(states(), ['1 active', '2 retired']);
});

test('one that was accepted before stays, whatever its handlers say of its return', async () => {
  using scratch = makeScratch('owed');
  const { engine, deploy, inService, states } = fixture(scratch.path);
  const up = join(scratch.path, 'up');
  writeFileSync(up, '');
  await deploy(1);
  await deploy(2, { onChange: `test -e ${up}` });
  await assert.rejects(deploy(3, { check: `rm ${up}; exit 1` }), refused);
  assert.deepEqual(states(), ['1 retired', '2 active', '3 failed']);
  const owing = await recover(engine);
  assert.equal(owing?.handlers.state, 'pending');
  await assert.rejects(fireOwed(engine, owing!), refused);
  assert.equal(inService(), id(2));
  writeFileSync(up, '');
  assert.equal((await fireOwed(engine, owing!)).handlers.state, 'done');
});

test('a process killed while it takes an old version away leaves none to roll back to', async () => {
  using scratch = makeScratch('owed');
  const { engine, deploy, states } = fixture(scratch.path);
  for (const version of [1, 2, 3]) await deploy(version);
  writeFileSync(join(scratch.path, 'dying'), '');
  await assert.rejects(prune(engine, 1), /killed/);
  assert.deepEqual(states(), ['1 failed', '2 retired', '3 active']);
  rmSync(join(scratch.path, 'dying'));
  await prune(engine, 0);
  assert.deepEqual(states(), ['3 active']);
});

test('a process killed while it puts a version back leaves it failed, not one to roll back to', async () => {
  using scratch = makeScratch('owed');
  const { engine, deploy, killedAfterSwitch, inService, states } = fixture(scratch.path);
  await deploy(1);
  const failed = killedAfterSwitch({ check: 'exit 3' });
  const [before] = deploymentsOf(engine.store, name);
  engine.store.rows.write([
    planDeployment({ ...failed, problem: 'check ended with 3' }),
    planDeployment({ ...before!, state: 'switching' }),
  ]);
  writeFileSync(join(scratch.path, 'active'), id(1));
  assert.equal((await recover(engine))?.version, 1);
  assert.equal(inService(), id(1));
  assert.deepEqual(states(), ['1 active', '2 failed']);
});
