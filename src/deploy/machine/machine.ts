/**
 * `machine:NAME`: a directory that systemd-nspawn and machinectl run. The name is a symlink, which both follow; its
 * versions lie in a directory whose name begins with `.#`, which they take for no image: `machinectl clean` removes
 * those that merely begin with a dot. Each version is written to while it is in service, over a base that is shared.
 */
import { join } from 'node:path';
import type { TargetDriver } from '../port.ts';
import { machineName } from '../path/target-path.ts';
import { treeAt } from '../path/tree-target.ts';

export const machineTarget: TargetDriver = {
  open(rest, options) {
    const name = machineName('machine', rest);
    const path = join(machinesDirectory(), name);
    const hiddenName = `.#${name}.cellar`;
    return treeAt({ name: `machine:${name}`, path, writable: true, seesUsers: true, hiddenName }, options);
  },
};

export function machinesDirectory(): string {
  return process.env['CELLAR_MACHINES'] ?? '/var/lib/machines';
}
