/** Old versions go, but for what is in service, what is kept, and what somebody still runs on. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratch, memory } from '../../../test/support/scratch.ts';
import { sha256 } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import type { CellarEvent } from '../../core/events.ts';
import { deploymentsOf, type DeploymentRow } from '../../store/deployments.ts';
import { openStore } from '../../store/store.ts';
import type { Engine } from '../engine.ts';
import type { Target, Workbench } from '../port.ts';
import { putRow } from './deployment-rows.ts';
import { prune } from './discard.ts';
import { owesHandlers } from './owed-handlers.ts';

const name = 'dir:/srv/app';
const digest = sha256('content');

/** Versions from 1 on in these states, and what becomes of them. `busy`: by version, whether it only lingers. */
async function pruned(
  states: readonly DeploymentRow['state'][],
  { keep, busy = {}, kept = [] }: { keep: number; busy?: Record<number, boolean>; kept?: readonly number[] },
): Promise<{ rows: string[]; discarded: number[]; notes: string[] }> {
  using scratch = makeScratch('discard', memory);
  using store = openStore(join(scratch.path, 'store'), { create: true });
  for (const [at, state] of states.entries())
    putRow(store, {
      ...{ target: name, version: at + 1, id: `${at + 1}-a`, state, reference: 'app', image: digest },
      ...{ kind: 'tree', content: digest, platform: 'linux/amd64', parameters: {}, inputs: digest },
      ...{ provenance: { via: 'import', verified: 'no' }, created: 1, writable: false },
      handlers: { state: 'none' },
    } as DeploymentRow);
  const discarded: number[] = [];
  const notes: string[] = [];
  const target = {
    ...{ name, writable: false, keeps: (id: string) => kept.includes(Number.parseInt(id, 10)) },
    async discard(id: string) {
      const version = Number.parseInt(id, 10);
      const lingers = busy[version];
      if (lingers !== undefined) throw new CellarError('E_CHECKOUT_BUSY', { details: { lingers } });
      // Whoever is killed now leaves no version to roll back to of which half is gone.
      assert.equal(deploymentsOf(store, name).find((row) => row.version === version)?.state, 'failed');
      discarded.push(version);
    },
  } as unknown as Target;
  const events = (event: CellarEvent): void => {
    if (event.type === 'note') notes.push(event.text);
  };
  await prune({ store, target, bench: { events } as Workbench } as Engine, keep);
  return {
    rows: deploymentsOf(store, name).map(({ version, state }) => `${version} ${state}`),
    ...{ discarded, notes },
  };
}

test('the newest that were in service are kept, and what is or will be in service is no matter of pruning', async () => {
  const states = ['retired', 'retired', 'retired', 'active', 'staging', 'switching'] as const;
  assert.deepEqual(await pruned(states, { keep: 1 }), {
    rows: ['3 retired', '4 active', '5 staging', '6 switching'],
    ...{ discarded: [2, 1], notes: [] },
  });
});

test('what the target keeps for its own reasons does not count', async () => {
  const { rows } = await pruned(['retired', 'retired', 'retired', 'active'], { keep: 1, kept: [1, 3] });
  assert.deepEqual(rows, ['1 retired', '2 retired', '3 retired', '4 active']);
});

test('what is in use stays whole; what only lingers cannot be rolled back to', async () => {
  const { rows, notes } = await pruned(['retired', 'retired', 'active'], {
    ...{ keep: 0, busy: { 1: false, 2: true } },
  });
  assert.deepEqual(rows, ['1 retired', '2 failed', '3 active']);
  assert.deepEqual(
    notes,
    [2, 1].map((version) => `version ${version} is still in use and stays`),
  );
});

test('failed versions are remembered as long as retired ones, and while something of them is left', async () => {
  const states = ['failed', 'failed', 'failed', 'active'] as const;
  assert.deepEqual((await pruned(states, { keep: 1 })).rows, ['3 failed', '4 active']);
  const { rows, notes } = await pruned(states, { keep: 1, busy: { 1: true } });
  assert.deepEqual(rows, ['1 failed', '3 failed', '4 active']);
  assert.deepEqual(notes, []);
});

test('a version owes its handlers, and a start of what was stopped for it', () => {
  assert.equal(owesHandlers({ handlers: { state: 'none' } }), false);
  assert.equal(owesHandlers({ handlers: { state: 'done' } }), false);
  assert.equal(owesHandlers({ handlers: { state: 'pending' } }), true);
  assert.equal(owesHandlers({ handlers: { state: 'done', stopped: true } }), true);
});
