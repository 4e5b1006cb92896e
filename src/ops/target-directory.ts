/** From the name of a target to the directory that is in service there. */
import type { ByteString } from '../core/bytes.ts';
import { isCellarError } from '../core/errors.ts';
import type { Target } from '../deploy/port.ts';
import type { DeploymentRow } from '../store/deployments.ts';
import type { Store } from '../store/store.ts';

/**
 * The directory in service at a target of this name; `undefined` where the text names no target, or none that is there:
 * then it may be a reference.
 * @throws E_TARGET_INVALID for one whose tree lies in no directory
 */
export async function targetDirectory(text: string): Promise<string | undefined> {
  return holdsTree.test(text) ? (await open(text))?.directory?.() : undefined;
}

/**
 * The deployment that this directory is the tree of, if `text` names the target where it is in service.
 * @param directory without symlinks
 */
export async function deploymentAt(
  store: Store,
  text: string,
  directory: ByteString,
): Promise<DeploymentRow | undefined> {
  const target = holdsTree.test(text) ? await open(text) : undefined;
  if (target === undefined) return undefined;
  const { activeRow } = await import('../deploy/engine/deployment-rows.ts');
  const row = activeRow(store, target.name);
  if (row === undefined) return undefined;
  // Some targets name what they keep in their own way, and tell.
  const isIt = directory.endsWith(`/${row.id}`) || (await target.look()).active === row.id;
  return isIt ? row : undefined;
}

/** Targets are loaded for names that begin so; `debian:12` is none. */
const holdsTree = /^(?:dir|machine|lxc|system):/;

/** What cannot be the name of a target is none. */
async function open(text: string): Promise<Target | undefined> {
  const { openTarget } = await import('../deploy/targets.ts');
  try {
    return await openTarget(text, { force: false });
  } catch (error) {
    if (isCellarError(error, 'E_TARGET_INVALID')) return undefined;
    throw error;
  }
}
