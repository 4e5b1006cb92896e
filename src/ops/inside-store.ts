/** What is put into the store's own directories is swept, or taken for something of the store's. */
import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { CellarError } from '../core/errors.ts';
import type { Store } from '../store/store.ts';
import { isErrno } from '../sys/errno.ts';

/** @throws E_USAGE for a path in the store, whether it is there or not */
export function refuseInsideStore({ root }: Pick<Store, 'root'>, path: string): void {
  const [store, real] = [realpathSync(root), realOf(path)];
  if (real !== store && !real.startsWith(`${store}/`)) return;
  throw new CellarError('E_USAGE', {
    details: { problem: `${path} lies in the store ${root}` },
    hint: 'choose a place outside of it',
  });
}

/** Of what is not there, the part that is. */
function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR') || dirname(path) === path) throw error;
    return join(realOf(dirname(path)), basename(path));
  }
}
