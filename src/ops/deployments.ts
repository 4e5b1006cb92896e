/** `cellar deployments`: what is in service where, with the versions that can be gone back to. */
import { CellarError } from '../core/errors.ts';
import { redact } from '../core/redact.ts';
import { owesHandlers } from '../deploy/engine/owed-handlers.ts';
import { openTarget } from '../deploy/targets.ts';
import { listDeployments, type DeploymentRow, type Handlers } from '../store/deployments.ts';
import { openStore } from '../store/store.ts';
import type { Context } from './context.ts';

export interface ListedDeployment extends Omit<DeploymentRow, 'inputs' | 'id'> {
  /** A command is owed: the next deploy to this target runs it. */
  readonly owed: boolean;
}

export interface DeploymentsResult {
  readonly deployments: readonly ListedDeployment[];
}

/** Newest first at each target. @throws E_TARGET_INVALID, E_NO_STORE, E_DEPLOYMENT_NOT_FOUND for a target that has none */
export async function deployments(
  context: Context,
  options: { target?: string | undefined } = {},
): Promise<DeploymentsResult> {
  const wanted =
    options.target === undefined ? undefined : (await openTarget(options.target, { force: false })).name;
  using store = openStore(context.storeRoot, { readOnly: true });
  const rows = listDeployments(store).filter(({ target }) => wanted === undefined || target === wanted);
  if (wanted !== undefined && rows.length === 0)
    throw new CellarError('E_DEPLOYMENT_NOT_FOUND', {
      details: { target: wanted, wanted: 'deployment', store: store.root },
    });
  return {
    deployments: rows
      .toSorted((a, b) => (a.target === b.target ? b.version - a.version : a.target < b.target ? -1 : 1))
      .map(({ inputs: _inputs, id: _id, ...row }) => ({
        ...row,
        handlers: redactCommands(row.handlers),
        owed: row.state === 'active' && owesHandlers(row),
      })),
  };
}

/** On record they are as they were given: they may have to be run again. */
function redactCommands(handlers: Handlers): Handlers {
  const shown = Object.entries(handlers).map(([name, value]) => [
    name,
    typeof value === 'string' ? redact(value) : value,
  ]);
  return Object.fromEntries(shown) as Handlers;
}
