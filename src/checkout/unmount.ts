/** Taking a checkout's mounts away from its directory, politely or by force. */
import { mkdirSync, rmdirSync } from 'node:fs';
import { toBytes, toText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { isErrno } from '../sys/errno.ts';
import { unmount } from '../sys/mount.ts';
import { mountsOf, type CheckoutRow } from '../store/checkouts.ts';
import type { ReleaseOptions } from './port.ts';

/**
 * Unmounts what this checkout shows at its path; nothing there is fine. What others mounted inside keeps it busy.
 * @throws E_CHECKOUT_BUSY
 */
export function unmountCheckout(row: CheckoutRow, options: ReleaseOptions): void {
  for (const _ of mountsOf(row).filter(({ mountPoint }) => mountPoint === row.path)) {
    try {
      unmount(row.path, { detach: options.force });
    } catch (cause) {
      if (!isErrno(cause, 'EBUSY')) throw cause;
      throw new CellarError('E_CHECKOUT_BUSY', {
        details: { path: toText(row.path) },
        hint: `stop what runs there first (fuser -m ${toText(row.path)} names it), or detach it with --force`,
        cause,
      });
    }
  }
}

/** Attach a mount at a directory of its own only until disposed: what was made from it meanwhile stays. */
export function attachFor(path: ByteString, attach: () => void): { readonly path: ByteString } & Disposable {
  mkdirSync(toBytes(path), { recursive: true, mode: 0o700 });
  attach();
  return {
    path,
    [Symbol.dispose]() {
      unmount(path, { detach: true });
      rmdirSync(toBytes(path));
    },
  };
}
