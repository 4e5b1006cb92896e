/**
 * Versions that nobody needs any more. A version is off the list of those that can be rolled back to before anything of
 * it is taken away, so that no crash leaves half of one on that list.
 */
import { isCellarError } from '../../core/errors.ts';
import { deploymentsOf, type DeploymentRow } from '../../store/deployments.ts';
import { forgetRow, putRow } from './deployment-rows.ts';
import type { Engine } from '../engine.ts';

/** `used`: what runs on it keeps it whole; `lingers`: it is taken away but for what another mount namespace still sees. */
export type Discarded = 'gone' | 'used' | 'lingers';

/** What is not gone is for a later command to try again. */
export async function discardVersion(
  { target, bench }: Pick<Engine, 'target' | 'bench'>,
  { id }: Pick<DeploymentRow, 'id'>,
): Promise<Discarded> {
  try {
    await target.discard(id, bench);
    return 'gone';
  } catch (error) {
    if (!isCellarError(error, 'E_CHECKOUT_BUSY')) throw error;
    return error.details['lingers'] === true ? 'lingers' : 'used';
  }
}

/** As it is on record while it is being taken away. */
export function doomed(row: DeploymentRow): DeploymentRow {
  return { ...row, state: 'failed', problem: 'it was taken away' };
}

/** Versions beyond the newest `keep` that are not in service; what is still in use stays until the next time. */
export async function prune(engine: Engine, keep: number): Promise<void> {
  const { store, target, bench } = engine;
  const rows = deploymentsOf(store, target.name).toReversed();
  const old = rows.filter(({ state, id }) => state === 'retired' && target.keeps?.(id) !== true);
  for (const row of old.slice(keep)) {
    putRow(store, doomed(row));
    const discarded = await discardVersion(engine, row);
    if (discarded === 'gone') forgetRow(store, row);
    if (discarded === 'used') putRow(store, row);
    if (discarded !== 'gone')
      bench.events({ type: 'note', text: `version ${row.version} is still in use and stays` });
  }
  for (const row of rows.filter(({ state }) => state === 'failed').slice(keep))
    if ((await discardVersion(engine, row)) === 'gone') forgetRow(store, row);
}
