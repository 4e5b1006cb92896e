/** A version that is to be in service has its files: a reboot may have taken their mount away, and hands the files themselves. */
import { CellarError } from '../../core/errors.ts';
import type { DeploymentRow } from '../../store/deployments.ts';
import type { Engine } from '../engine.ts';

/** They are mounted again, but for a dry run. @throws E_DEPLOYMENT_NOT_FOUND when they are gone, and what mounting throws */
export async function requireFiles(
  { store, target, bench }: Engine,
  { id, version, reference }: Pick<DeploymentRow, 'id' | 'version' | 'reference'>,
  options: { readonly dryRun: boolean },
): Promise<void> {
  if ((await target.restore?.(id, bench, options)) !== false) return;
  throw new CellarError('E_DEPLOYMENT_NOT_FOUND', {
    details: { target: target.name, wanted: `files of version ${version} any more`, store: store.root },
    hint: `'cellar deploy ${reference} ${target.name}' makes it anew`,
  });
}
