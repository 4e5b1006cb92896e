/**
 * An upper outlives the kernel that wrote it. With `index=on` overlayfs keeps in it a handle of the root below, and one of
 * each file with several names that was written to. Kernels do not agree on how handles of EROFS look (6.1 and 6.18 do
 * not), and one refuses those of another with ESTALE.
 */
import { readdirSync } from 'node:fs';
import { toBytes, toText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { isErrno } from '../sys/errno.ts';
import { removeXattr } from '../sys/xattr.ts';
import type { Upper } from './upper.ts';

/**
 * The tree below is the same by its digest, so the handle of its root may be forgotten. Those of files may not: names
 * that share a file would come apart.
 * @throws E_CHECKOUT_KERNEL when there are such files, and what `mount` throws
 */
export function mountAgain(path: ByteString, upper: Upper | undefined, mount: () => void): void {
  try {
    mount();
  } catch (cause) {
    if (upper === undefined || !isErrno(cause, 'ESTALE')) throw cause;
    if (readdirSync(toBytes(`${upper.work}/index`)).length > 0)
      throw new CellarError('E_CHECKOUT_KERNEL', { details: { path: toText(path) }, cause });
    removeXattr(upper.upper, 'trusted.overlay.origin');
    mount();
  }
}
