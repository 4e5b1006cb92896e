/** A version that cannot be staged, or a switch that fails before or after its step: what was in service is, and is on record. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratch, memory } from '../../../test/support/scratch.ts';
import { sha256 } from '../../core/digest.ts';
import { CellarError, isCellarError } from '../../core/errors.ts';
import { deploymentsOf } from '../../store/deployments.ts';
import { openStore } from '../../store/store.ts';
import { deployVersion, type Engine, type NewDeployment } from '../engine.ts';
import type { Target, Version, Workbench } from '../port.ts';

const digest = sha256('content');
const system = { errno: -5, syscall: 'rename' };
const broken = Object.assign(new Error('EIO: i/o error'), { ...system, code: 'EIO' });
const busy = Object.assign(new Error('EBUSY: busy'), { ...system, code: 'EBUSY' });

interface Faults {
  stage?: Error;
  discard?: Error;
  tidy?: Error;
  /** Thrown before the step, and after it. */
  before?: Error;
  after?: Error;
}

function fixture(directory: string) {
  const faults: Faults = {};
  const log: string[] = [];
  let active: string | undefined;
  const fail = (error: Error | undefined): void => {
    if (error !== undefined) throw error;
  };
  const target = {
    ...{ name: 'fake:web', writable: false },
    look: async () => ({ ...(active === undefined ? {} : { active }), users: [] }),
    stage: async () => (fail(faults.stage), {}),
    async activate(id: string) {
      const { before, after } = faults;
      faults.before = faults.after = undefined as never;
      fail(before);
      active = id;
      log.push(`activate ${id}`);
      fail(after);
    },
    async deactivate() {
      active = undefined;
      log.push('deactivate');
    },
    async discard(id: string) {
      fail(faults.discard);
      log.push(`discard ${id}`);
    },
    tidy() {
      log.push('tidy');
      fail(faults.tidy);
    },
  } as unknown as Target;
  const store = openStore(join(directory, 'store'), { create: true });
  const bench = { signal: new AbortController().signal, events: () => undefined } as unknown as Workbench;
  const engine: Engine = { store, target, bench };
  const deploy = async (version: number): Promise<unknown> => {
    const wanted = {
      ...{ version, id: `${version}-a`, reference: 'web', image: digest, kind: 'tree', content: digest },
      ...{ platform: 'linux/amd64', parameters: {}, inputs: digest, writable: false, provenance: {} },
      handlers: { state: 'none' },
    } as unknown as NewDeployment;
    return await deployVersion(engine, wanted, { id: wanted.id } as Version);
  };
  const states = (): string[] =>
    deploymentsOf(store, target.name).map(({ version, state }) => `${version} ${state}`);
  return { faults, log, deploy, states, inService: () => active };
}

const ioError = (error: unknown): boolean => isCellarError(error, 'E_IO') && /fake:web/.test(error.message);

test('what could not be staged leaves nothing, and what cannot be tidied is not what is told', async () => {
  using scratch = makeScratch('switch', memory);
  const { faults, log, deploy, states, inService } = fixture(scratch.path);
  await deploy(1);
  log.length = 0;
  for (const tidy of [undefined, busy]) {
    Object.assign(faults, { stage: broken, tidy });
    await assert.rejects(deploy(2), ioError);
  }
  assert.deepEqual(log, ['discard 2-a', 'tidy', 'discard 2-a', 'tidy']);
  assert.deepEqual([states(), inService()], [['1 active'], '1-a']);
  const own = new CellarError('E_NO_SPACE', { details: { doing: 'staging', path: 'x' } });
  Object.assign(faults, { stage: own, tidy: undefined });
  await assert.rejects(deploy(2), own);
});

test('what could not be staged and is in use is on record as failed', async () => {
  using scratch = makeScratch('switch', memory);
  const { faults, log, deploy, states } = fixture(scratch.path);
  Object.assign(faults, { stage: broken, discard: new CellarError('E_CHECKOUT_BUSY', { details: {} }) });
  await assert.rejects(deploy(1), ioError);
  assert.deepEqual([states(), log], [['1 failed'], []]);
});

test('a switch that fails before its step leaves what was in service untouched', async () => {
  using scratch = makeScratch('switch', memory);
  const { faults, log, deploy, states, inService } = fixture(scratch.path);
  await deploy(1);
  log.length = 0;
  faults.before = broken;
  await assert.rejects(deploy(2), ioError);
  assert.equal(inService(), '1-a');
  assert.ok(!log.some((line) => line.includes('activate')), log.join());
  assert.ok(states().includes('1 active') && !states().some((one) => /^2 (active|retired)/.test(one)));
});

test('a switch that fails after its step is undone: back to the one before, or out of service', async () => {
  for (const first of [true, false]) {
    using scratch = makeScratch('switch', memory);
    const { faults, log, deploy, states, inService } = fixture(scratch.path);
    if (!first) await deploy(1);
    log.length = 0;
    faults.after = broken;
    await assert.rejects(deploy(2), ioError);
    assert.equal(inService(), first ? undefined : '1-a');
    assert.deepEqual(log.slice(0, 2), ['activate 2-a', first ? 'deactivate' : 'activate 1-a']);
    assert.equal(states().includes('1 active'), !first);
    assert.ok(!states().some((one) => /^2 (active|retired)/.test(one)), states().join());
  }
});
