/** What a crash left at a target is in the plan as it will be found, and the plan leaves it as it is. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromText } from '../core/bytes.ts';
import { makeScratch } from '../../test/support/scratch.ts';
import { deploymentsOf, planDeployment, type DeploymentRow } from '../store/deployments.ts';
import { openStore } from '../store/store.ts';
import { applyPlan } from './apply.ts';
import { commit } from './commit.ts';
import type { Context } from './context.ts';
import { plan, type PlannedDeployment } from './plan.ts';

test('a switch that happened but is not on record is one: only its handlers are owed', async () => {
  using scratch = makeScratch('plan');
  const at = (name: string): string => join(scratch.path, name);
  const context: Context = {
    storeRoot: at('store'),
    configPath: at('cellar.yaml'),
    events: () => undefined,
    signal: new AbortController().signal,
  };
  mkdirSync(at('tree'));
  writeFileSync(at('tree/file'), 'one');
  writeFileSync(
    at('cellar.yaml'),
    `deployments: {x: {image: app, target: "dir:${at('live')}", method: copy, on-change: "echo >>${at('log')}"}}`,
  );
  await commit(context, { directory: fromText(at('tree')), reference: 'app' });
  const planned = async (): Promise<
    Record<keyof Pick<PlannedDeployment, 'step' | 'version' | 'interrupted'>, unknown>
  > => {
    const [{ step, version, interrupted } = {}] = (await plan(context)).deployments;
    return { step, version, interrupted };
  };
  assert.deepEqual(await planned(), { step: 'deploy', version: 1, interrupted: undefined });
  await applyPlan(context, await plan(context));
  assert.deepEqual(await planned(), { step: 'unchanged', version: 1, interrupted: undefined });

  const row = rewrite(context, `dir:${at('live')}`);
  assert.deepEqual(await planned(), { step: 'handlers', version: 1, interrupted: true });
  assert.deepEqual(rows(context, row.target), [row]);
  const { deployments } = await applyPlan(context, await plan(context));
  assert.deepEqual(deployments, [
    { name: 'x', target: row.target, reference: 'app', outcome: 'handlers', version: 1 },
  ]);
  assert.deepEqual(await planned(), { step: 'unchanged', version: 1, interrupted: undefined });
});

/** As a crash between the switch and its record leaves it. */
function rewrite(context: Context, target: string): DeploymentRow {
  using store = openStore(context.storeRoot);
  const [row] = deploymentsOf(store, target);
  assert.ok(row !== undefined);
  const cut: DeploymentRow = { ...row, state: 'switching', handlers: { ...row.handlers, state: 'pending' } };
  store.rows.write([planDeployment(cut)]);
  return cut;
}

function rows(context: Context, target: string): DeploymentRow[] {
  using store = openStore(context.storeRoot, { readOnly: true });
  return deploymentsOf(store, target);
}
