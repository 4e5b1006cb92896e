/**
 * One deployment, in the order that is the promise:
 *
 *   row "staging" → stage, synced → row "switching", handlers pending → stop → switch → row "active" → start →
 *   handlers → acknowledged
 *
 * A crash at any point leaves the old version or the new one in service, and rows from which `recover` tells what to
 * clean and which handlers are still owed. Whoever calls holds the flight of the target.
 */
import { CellarError, isCellarError } from '../core/errors.ts';
import { deploymentsOf, type DeploymentRow, type Handlers } from '../store/deployments.ts';
import type { Store } from '../store/store.ts';
import { isSystemCall, reasonOf, toCellarError } from '../sys/errno.ts';
import { activeRow, forgetRow, provenRow, putRow, settleActive } from './engine/deployment-rows.ts';
import { discardVersion } from './engine/discard.ts';
import { runHandlers } from './engine/handlers.ts';
import { inherit, owed, withStops, withoutDoubt } from './engine/owed-handlers.ts';
import type { Target, Version, Workbench } from './port.ts';
import { startUsers, stopUsers, type Stopping } from './engine/users-stopped.ts';

export interface Engine {
  readonly store: Store;
  readonly target: Target;
  readonly bench: Workbench;
  /** How long what was stopped may take to go, in milliseconds. */
  readonly patienceMs?: number;
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
  putRow(store, row);
  let method: string | undefined;
  try {
    ({ method } = await target.stage(version, bench));
  } catch (error) {
    if ((await discardVersion(engine, row)) === 'gone') {
      forgetRow(store, row);
      tidyUp(target);
    } else putRow(store, { ...row, state: 'failed', problem: 'it could not be staged' });
    throw told(error, target);
  }
  return await switchTo(engine, { ...row, ...(method === undefined ? {} : { method }) });
}

/** What cannot be tidied now is left to the next command: what went wrong before is to be told. */
function tidyUp(target: Target): void {
  try {
    target.tidy?.();
  } catch (error) {
    if (!isSystemCall(error)) throw error;
  }
}

/** Put a staged version in service, and put the old one back when its handlers do not accept it. */
export async function switchTo(engine: Engine, to: DeploymentRow): Promise<Deployed> {
  const { store, target, bench } = engine;
  const before = activeRow(store, target.name);
  const kept = provenRow(store, to);
  const next: DeploymentRow = {
    ...to,
    ...(before === undefined ? {} : { previous: before.version }),
    handlers: {
      ...inherit(owed(to.handlers), before?.handlers),
      ...(kept === undefined ? {} : { ifRefused: 'keep' }),
    },
  };
  const switching: DeploymentRow = { ...next, state: 'switching' };
  putRow(store, switching);
  let stopped = switching;
  let active: DeploymentRow;
  try {
    stopped = await stopUsers(switching, {
      ...stopping(engine),
      record: (row) => putRow(store, (stopped = row)),
    });
    await target.activate(next.id, bench);
    active = settleActive(store, stopped);
  } catch (error) {
    // Where not even that works, the row tells the next command what to finish.
    if (!(await switchBack(engine, next, before))) throw told(error, target);
    // What failed to be written down may have been all the same.
    if (before !== undefined) note(engine, before);
    await startAgain(engine, before, stopped);
    await giveUp(engine, { row: next, kept }, error);
    throw told(error, target);
  }
  try {
    return { row: await fire(engine, active), ...(before === undefined ? {} : { previous: before }) };
  } catch (error) {
    if (!isCellarError(error, 'E_DEPLOY_HANDLER')) throw error;
    const wasStopped = stopped.handlers.stopped === true;
    await putBack(engine, { failed: active, kept, before, wasStopped }, error);
    throw error;
  }
}

function told(error: unknown, target: Target): unknown {
  return isSystemCall(error) ? toCellarError(error, { doing: 'deploying', path: target.name }) : error;
}

/**
 * A switch may fail after its step, when that cannot be brought to the disk or written down: what is in service must not
 * be discarded, and the list of deployments has to name it.
 * @returns whether `to` is out of service
 */
async function switchBack(
  engine: Engine,
  to: DeploymentRow,
  before: DeploymentRow | undefined,
): Promise<boolean> {
  const { target, bench } = engine;
  try {
    if (before?.id === to.id || (await target.look()).active !== to.id) return true;
    if (before === undefined) await target.deactivate(bench);
    else await target.activate(before.id, bench);
    return true;
  } catch (error) {
    warn(engine, 'putting back what was in service', error);
    return false;
  }
}

/** Run what is still owed for the version in service. @throws E_DEPLOY_HANDLER */
async function fire(engine: Engine, row: DeploymentRow): Promise<DeploymentRow> {
  const { store, target, bench } = engine;
  const started = await startUsers(row, stopping(engine));
  if (started.handlers.state !== 'pending') return started;
  await runHandlers(started, { ...bench, path: target.path });
  const accepted = withoutDoubt(started);
  const done: DeploymentRow = { ...accepted, handlers: { ...accepted.handlers, state: 'done' } };
  putRow(store, done);
  return done;
}

/**
 * Run what a crash kept from running for the version in service. One that its handlers never accepted is put back when
 * they refuse it now, as it would have been without the crash. @throws E_DEPLOY_HANDLER
 */
export async function fireOwed(engine: Engine, row: DeploymentRow): Promise<DeploymentRow> {
  const { store, target } = engine;
  const { state, ifRefused, stopped } = row.handlers;
  try {
    return await fire(engine, row);
  } catch (error) {
    if (!isCellarError(error, 'E_DEPLOY_HANDLER')) throw error;
    const before = deploymentsOf(store, target.name).find(
      (other) => other.version === row.previous && other.state === 'retired',
    );
    const canGoBack = before !== undefined || row.previous === undefined;
    if (state !== 'pending' || ifRefused === 'stay' || !canGoBack)
      throw new CellarError('E_DEPLOY_HANDLER', {
        ...{ details: error.details, cause: error },
        hint: 'it stays in service, and the next deploy of it runs what is owed again',
      });
    const kept = ifRefused === 'keep' ? withoutDoubt(row) : undefined;
    await putBack(engine, { failed: row, kept, before, wasStopped: stopped === true }, error);
    throw error;
  }
}

/** What a killed process left at this target is finished or undone. @returns the version in service */
export async function recover(engine: Engine): Promise<DeploymentRow | undefined> {
  const { store, target, bench } = engine;
  for (const row of deploymentsOf(store, target.name)) {
    if (row.state === 'switching' && (await target.look(bench.signal)).active === row.id) {
      // The switch is the last of several steps at some targets; repeating it completes them.
      await target.activate(row.id, bench);
      settleActive(store, row);
    } else if (row.state === 'failed') await discardVersion(engine, row);
    else if (row.state === 'switching' || row.state === 'staging') {
      await startAgain(engine, activeRow(store, target.name), row);
      // A version that had been in service before its rollback was cut short stays what it was.
      if (row.activated !== undefined) putRow(store, { ...row, state: 'retired' });
      else {
        if ((await discardVersion(engine, row)) === 'gone') forgetRow(store, row);
        else putRow(store, { ...row, state: 'failed', problem: 'it was cut short' });
      }
    }
  }
  target.tidy?.();
  return activeRow(store, target.name);
}

/** What {@link recover} would find or put in service; nothing is changed. */
export async function foresee({ store, target, bench }: Engine): Promise<DeploymentRow | undefined> {
  const { active } = await target.look(bench.signal);
  const cut = deploymentsOf(store, target.name).find((row) => row.state === 'switching' && row.id === active);
  return cut ?? activeRow(store, target.name);
}

interface PutBack {
  readonly failed: DeploymentRow;
  /** As it was on record, if it had been in service before. */
  readonly kept: DeploymentRow | undefined;
  readonly before: DeploymentRow | undefined;
  /** What ran there was stopped for the switch, and is to run again. */
  readonly wasStopped: boolean;
}

/** The handlers of the old version are owed again: they may have seen the new one for a moment. */
async function putBack(
  engine: Engine,
  { failed, kept, before, wasStopped }: PutBack,
  error: CellarError,
): Promise<void> {
  const { store, target, bench } = engine;
  putRow(store, { ...failed, problem: error.message });
  const brought = await stopAgain(engine, failed);
  const down = wasStopped
    ? { ...brought, handlers: { ...brought.handlers, stopped: true as const } }
    : brought;
  if (before === undefined) {
    await target.deactivate(bench);
    await startAgain(engine, undefined, down);
  } else {
    const { state, ifRefused } = before.handlers;
    const again: Handlers = {
      ...owed(before.handlers),
      ...(state !== 'pending' || ifRefused === 'stay' ? { ifRefused: 'stay' } : {}),
    };
    const back: DeploymentRow = { ...before, handlers: withStops(again, down.handlers) };
    putRow(store, { ...back, state: 'switching' });
    // A reboot may have taken its mount away; gone or not, the failed version is to go.
    await target
      .restore?.(before.id, bench, { dryRun: false })
      .catch((problem: unknown) => warn(engine, 'mounting what was in service', problem));
    await target.activate(before.id, bench);
    const active = settleActive(store, back);
    await fire(engine, active).catch((second: unknown) => warn(engine, 'after switching back', second));
  }
  await giveUp(engine, { row: failed, kept }, error);
}

/** A version that had proven itself before stays: what is wrong now may be something else. */
async function giveUp(
  engine: Engine,
  { row, kept }: { readonly row: DeploymentRow; readonly kept: DeploymentRow | undefined },
  error: unknown,
): Promise<void> {
  if (kept !== undefined) {
    putRow(engine.store, { ...kept, state: 'retired' });
    return;
  }
  const problem = error instanceof Error ? error.message : String(error);
  putRow(engine.store, { ...row, state: 'failed', problem });
  if ((await discardVersion(engine, row)) === 'gone') tidyUp(engine.target);
}

/** Whatever the failed version's start brought up goes down again, if it can. */
async function stopAgain(engine: Engine, failed: DeploymentRow): Promise<DeploymentRow> {
  let row = failed;
  try {
    return await stopUsers(failed, { ...stopping(engine), record: (owing) => (row = owing) });
  } catch (error) {
    warn(engine, 'stopping the failed version', error);
    return row;
  }
}

/** A start that is owed for a version that did not come into service; `active` is what is in service instead. */
async function startAgain(
  engine: Engine,
  active: DeploymentRow | undefined,
  stopped: DeploymentRow,
): Promise<void> {
  if (stopped.handlers.stopped !== true) return;
  const row =
    active === undefined ? stopped : { ...active, handlers: withStops(active.handlers, stopped.handlers) };
  const record = (done: DeploymentRow): void => {
    if (active !== undefined) note(engine, done);
  };
  record(row);
  await startUsers(row, { ...stopping(engine), record }).catch((error: unknown) =>
    warn(engine, 'starting again what was stopped', error),
  );
}

/** What cannot be written down does not keep what was stopped from being started; the next command finds it owed. */
function note(engine: Engine, row: DeploymentRow): void {
  try {
    putRow(engine.store, row);
  } catch (error) {
    warn(engine, 'writing down what is in service', error);
  }
}

function stopping({ store, target, bench, patienceMs }: Engine): Stopping {
  return { target, bench, patienceMs, record: (row) => putRow(store, row) };
}

function warn({ bench }: Pick<Engine, 'bench'>, doing: string, error: unknown): void {
  bench.events({ type: 'warning', code: 'E_DEPLOY_HANDLER', text: `${doing}: ${reasonOf(error)}` });
}
