/**
 * One deployment, in the order that is the promise:
 *
 *   row "staging" → stage, synced → row "switching", handlers pending → switch → row "active" → handlers → acknowledged
 *
 * A crash at any point leaves the old version or the new one in service, and rows from which `recover` tells what to
 * clean and which handlers are still owed. Whoever calls holds the flight of the target.
 */
import { CellarError, isCellarError } from '../core/errors.ts';
import {
  deploymentsOf,
  planDeployment,
  planForgotten,
  type DeploymentRow,
  type Handlers,
} from '../store/deployments.ts';
import type { Store } from '../store/store.ts';
import { runHandlers } from './handlers.ts';
import type { Target, Version, Workbench } from './port.ts';

export interface Engine {
  readonly store: Store;
  readonly target: Target;
  readonly bench: Workbench;
}

/** Everything of a row but what the engine decides. */
export type NewDeployment = Omit<
  DeploymentRow,
  'target' | 'state' | 'activated' | 'previous' | 'method' | 'problem' | 'created'
>;

export interface Deployed {
  readonly row: DeploymentRow;
  /** The version that was in service before. */
  readonly previous?: DeploymentRow;
}

/** @throws E_DEPLOY_HANDLER (the previous version is back in service), and what targets throw */
export async function deployVersion(
  engine: Engine,
  wanted: NewDeployment,
  version: Version,
): Promise<Deployed> {
  const { store, target, bench } = engine;
  const row: DeploymentRow = { ...wanted, target: target.name, state: 'staging', created: Date.now() };
  put(store, row);
  let method: string | undefined;
  try {
    ({ method } = await target.stage(version, bench));
  } catch (error) {
    await target.discard(row.id, bench);
    forget(store, row);
    throw error;
  }
  return await switchTo(engine, { ...row, ...(method === undefined ? {} : { method }) });
}

/** Put a staged version in service, and put the old one back when its handlers do not accept it. */
export async function switchTo(engine: Engine, to: DeploymentRow): Promise<Deployed> {
  const { store, target, bench } = engine;
  const before = activeRow(store, target.name);
  const next: DeploymentRow = {
    ...to,
    ...(before === undefined ? {} : { previous: before.version }),
    handlers: owed(to.handlers),
  };
  put(store, { ...next, state: 'switching' });
  try {
    await target.activate(next.id, bench);
  } catch (error) {
    await giveUp(engine, next, error);
    throw error;
  }
  const active = settleActive(store, next);
  try {
    return { row: await fire(engine, active), ...(before === undefined ? {} : { previous: before }) };
  } catch (error) {
    if (!isCellarError(error, 'E_DEPLOY_HANDLER')) throw error;
    await putBack(engine, active, before, error);
    throw error;
  }
}

/** Run what is still owed for the version in service. @throws E_DEPLOY_HANDLER */
export async function fire({ store, target, bench }: Engine, row: DeploymentRow): Promise<DeploymentRow> {
  if (row.handlers.state !== 'pending') return row;
  await runHandlers(row, { path: target.path, signal: bench.signal, events: bench.events });
  const done: DeploymentRow = { ...row, handlers: { ...row.handlers, state: 'done' } };
  put(store, done);
  return done;
}

/** What a killed process left at this target is finished or undone. @returns the version in service */
export async function recover(engine: Engine): Promise<DeploymentRow | undefined> {
  const { store, target, bench } = engine;
  for (const row of deploymentsOf(store, target.name)) {
    if (row.state === 'switching' && (await target.look()).active === row.id) settleActive(store, row);
    else if (row.state === 'failed') await target.discard(row.id, bench);
    else if (row.state === 'switching' || row.state === 'staging') {
      // A version that had been in service before its rollback was cut short stays what it was.
      if (row.activated !== undefined) put(store, { ...row, state: 'retired' });
      else {
        await target.discard(row.id, bench);
        forget(store, row);
      }
    }
  }
  return activeRow(store, target.name);
}

/** Versions beyond the newest `keep` that are not in service; what is still in use stays until the next time. */
export async function prune({ store, target, bench }: Engine, keep: number): Promise<void> {
  const rows = deploymentsOf(store, target.name).toReversed();
  for (const row of rows.filter(({ state }) => state === 'retired').slice(keep)) {
    try {
      await target.discard(row.id, bench);
      forget(store, row);
    } catch (error) {
      if (!isCellarError(error, 'E_CHECKOUT_BUSY')) throw error;
      bench.events({ type: 'note', text: `version ${row.version} is still in use and stays` });
    }
  }
  for (const row of rows.filter(({ state }) => state === 'failed').slice(keep)) forget(store, row);
}

export function activeRow(store: Store, target: string): DeploymentRow | undefined {
  return deploymentsOf(store, target).find(({ state }) => state === 'active');
}

/** The switch has happened: one row is active and no other is. */
function settleActive(store: Store, row: DeploymentRow): DeploymentRow {
  const active: DeploymentRow = { ...row, state: 'active', activated: Date.now() };
  store.rows.update(() => ({
    changes: [
      ...deploymentsOf(store, row.target)
        .filter(({ state, version }) => state === 'active' && version !== row.version)
        .map((other) => planDeployment({ ...other, state: 'retired' })),
      planDeployment(active),
    ],
    result: undefined,
  }));
  return active;
}

/** The handlers of the old version are owed again: they may have seen the new one for a moment. */
async function putBack(
  engine: Engine,
  failed: DeploymentRow,
  before: DeploymentRow | undefined,
  error: CellarError,
): Promise<void> {
  const { store, target, bench } = engine;
  if (before === undefined) await target.deactivate(bench);
  else {
    const back: DeploymentRow = { ...before, handlers: owed(before.handlers) };
    put(store, { ...back, state: 'switching' });
    await target.activate(before.id, bench);
    const active = settleActive(store, back);
    await fire(engine, active).catch((second: unknown) => {
      bench.events({
        type: 'warning',
        code: 'E_DEPLOY_HANDLER',
        text: `after switching back: ${String(second)}`,
      });
    });
  }
  await giveUp(engine, failed, error);
}

async function giveUp({ store, target, bench }: Engine, row: DeploymentRow, error: unknown): Promise<void> {
  const problem = error instanceof Error ? error.message : String(error);
  put(store, { ...row, state: 'failed', problem });
  await target.discard(row.id, bench);
}

function owed(handlers: Handlers): Handlers {
  const has = handlers.onChange !== undefined || handlers.check !== undefined;
  return { ...handlers, state: has ? 'pending' : 'none' };
}

function put(store: Store, row: DeploymentRow): void {
  store.rows.write([planDeployment(row)]);
}

function forget(store: Store, row: DeploymentRow): void {
  store.rows.write([planForgotten(row)]);
}
