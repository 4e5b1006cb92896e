/** What of a place is another's and is left alone, and which row is in service after a switch. */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { makeScratch, memory } from '../../../test/support/scratch.ts';
import { sha256 } from '../../core/digest.ts';
import { isCellarError } from '../../core/errors.ts';
import { deploymentsOf, type DeploymentRow } from '../../store/deployments.ts';
import { openStore, type Store } from '../../store/store.ts';
import type { Target, TargetState } from '../port.ts';
import {
  activeRow,
  aliasOf,
  isOfAnotherStore,
  nextVersion,
  provenRow,
  putRow,
  refuseForeign,
  refuseOfAnotherStore,
  settleActive,
} from './deployment-rows.ts';

let scratch: ReturnType<typeof makeScratch>;
let store: Store;
beforeEach(() => {
  scratch = makeScratch('rows', memory);
  store = openStore(join(scratch.path, 'store'), { create: true });
});
afterEach(() => {
  store[Symbol.dispose]();
  scratch[Symbol.dispose]();
});

function row(version: number, changes: Partial<DeploymentRow> = {}): DeploymentRow {
  const digest = sha256('content');
  return {
    ...{ target: 'dir:/srv/app', version, id: `${version}-aaaaaaaa`, state: 'retired' },
    ...{ reference: 'app:1', image: digest, kind: 'tree', content: digest, platform: 'linux/amd64' },
    ...{ provenance: { via: 'import', verified: 'no' }, parameters: {}, inputs: digest, created: 1 },
    ...{ handlers: { state: 'none' }, writable: false, ...changes },
  } as DeploymentRow;
}

function target(path?: string): Target {
  return { name: `dir:${path ?? '/srv/app'}`, ...(path === undefined ? {} : { path }) } as Target;
}

const state = (found: Partial<TargetState>): TargetState => ({ users: [], ...found });

test('what is not ours is refused; --force sets it aside, but not what is fixed', () => {
  const refused = (found: Partial<TargetState>, force?: boolean): string | undefined => {
    try {
      refuseForeign(target(), state(found), force === undefined ? {} : { force });
      return undefined;
    } catch (error) {
      assert.ok(isCellarError(error, 'E_TARGET_FOREIGN'));
      assert.deepEqual(error.details, { path: 'dir:/srv/app', found: 'a directory' });
      return error.hint ?? '';
    }
  };
  assert.equal(refused({}), undefined);
  assert.equal(refused({ fixed: true }), undefined);
  const foreign = { foreign: 'a directory' };
  for (const force of [undefined, false]) assert.match(refused(foreign, force)!, /--force/);
  assert.equal(refused(foreign, true), undefined);
  for (const force of [undefined, false, true])
    assert.match(refused({ ...foreign, fixed: true }, force)!, /cannot be set aside/);
});

test('what another store put in service is refused, and named where it is this one under another name', () => {
  putRow(store, row(1, { state: 'active' }));
  const ours = state({ active: '1-aaaaaaaa' });
  refuseOfAnotherStore(store, target(), ours);
  refuseOfAnotherStore(store, target(), state({}));
  refuseOfAnotherStore(undefined, target(), state({}));
  assert.equal(isOfAnotherStore(store, target(), ours), false);
  const hint = (of: Store | undefined, at: Target, active: string): string => {
    try {
      refuseOfAnotherStore(of, at, state({ active }));
    } catch (error) {
      if (isCellarError(error, 'E_TARGET_FOREIGN')) return error.hint ?? '';
    }
    return 'not refused';
  };
  assert.match(hint(store, target(), '2-aaaaaaaa'), /another store/);
  assert.match(hint(undefined, target(), '1-aaaaaaaa'), /another store/);
  // Another place in which a version of the same name is.
  assert.match(hint(store, target('/srv/other'), '1-aaaaaaaa'), /another store/);
});

test('a place has the names that lead to it, and no others', () => {
  const at = (name: string): string => join(scratch.path, name);
  mkdirSync(at('real'));
  mkdirSync(at('other'));
  symlinkSync('real', at('link'));
  putRow(store, row(1, { state: 'active', target: `dir:${at('real/app')}` }));
  const active = '1-aaaaaaaa';
  const alias = (path: string, found = active): string | undefined =>
    aliasOf(store, target(path), state({ active: found }));
  assert.match(alias(at('link/app'))!, /deployed as dir:\S+\/real\/app/);
  assert.equal(alias(at('link/app'), '2-aaaaaaaa'), undefined);
  for (const other of ['link/app2', 'other/app', 'none/app'])
    assert.equal(alias(at(other)), undefined, other);
  assert.equal(
    aliasOf(store, { ...target(at('link/app')), name: `file:${at('link/app')}` }, state({ active })),
    undefined,
  );
  assert.equal(aliasOf(store, target(), state({ active })), undefined);
  assert.equal(aliasOf(undefined, target(at('link/app')), state({ active })), undefined);
  assert.equal(aliasOf(store, target(at('link/app')), state({})), undefined);
});

test('after a switch one row is active; what was to be put back has failed, what is kept or was accepted has not', () => {
  const handlers = { state: 'pending', check: 'false' } as const;
  for (const [before, after] of [
    [{}, 'retired'],
    [{ problem: 'check ended with 1', handlers }, 'failed'],
    [{ problem: 'check ended with 1', handlers: { ...handlers, ifRefused: 'keep' } }, 'retired'],
  ] as const) {
    for (const version of [1, 2, 3]) putRow(store, row(version));
    putRow(store, row(2, { state: 'active', ...before }));
    putRow(store, row(4, { state: 'failed' }));
    putRow(store, row(9, { state: 'active', target: 'dir:/srv/beside' }));
    const began = Date.now();
    const active = settleActive(store, row(3, { state: 'switching' }));
    assert.ok(active.activated !== undefined && active.activated >= began);
    assert.deepEqual(activeRow(store, 'dir:/srv/app'), active);
    const rows = deploymentsOf(store, 'dir:/srv/app');
    assert.deepEqual(
      rows.map((one) => one.state),
      ['retired', after, 'active', 'failed'],
    );
    // Nobody puts back later what was accepted.
    if (after === 'retired')
      assert.deepEqual([rows[1]!.problem, rows[1]!.handlers.ifRefused], [undefined, undefined]);
    assert.equal(activeRow(store, 'dir:/srv/beside')?.version, 9);
  }
  // Settling again what is active already changes nothing of it.
  settleActive(store, row(3));
  assert.equal(activeRow(store, 'dir:/srv/app')?.version, 3);
});

test('numbers go on after the newest; only what was in service is proven', () => {
  assert.equal(nextVersion(store, 'dir:/srv/app'), 1);
  for (const version of [2, 10]) putRow(store, row(version, version === 2 ? { activated: 5 } : {}));
  assert.equal(nextVersion(store, 'dir:/srv/app'), 11);
  assert.equal(provenRow(store, row(2))?.version, 2);
  assert.equal(provenRow(store, row(10)), undefined);
  assert.equal(provenRow(store, row(3)), undefined);
  assert.equal(activeRow(store, 'dir:/srv/app'), undefined);
});
