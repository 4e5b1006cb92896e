/** File systems in user space need this one device, which containers and closed machines may not have. */
import { accessSync, constants } from 'node:fs';

export function canUseFuse(): boolean {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
