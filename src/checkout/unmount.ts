/** Taking a checkout's mounts away from its directory, politely or by force. */
import { mkdirSync, rmdirSync } from 'node:fs';
import { toBytes, toText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { isErrno } from '../sys/errno.ts';
import { unmount } from '../sys/mount-api.ts';
import { mountsAt } from '../sys/mountinfo.ts';
import type { CheckoutRow } from '../store/checkouts.ts';
import { mountsOf } from '../store/checkout-mounts.ts';
import type { ReleaseOptions } from './port.ts';

/**
 * Unmounts what this checkout shows at its path; nothing there is fine. What others mounted inside keeps it busy.
 * @throws E_CHECKOUT_BUSY
 */
export function unmountCheckout(row: CheckoutRow, options: ReleaseOptions): void {
  for (const _ of mountsOf(row).filter(({ mountPoint }) => mountPoint === row.path)) {
    const top = mountsAt(row.path).at(-1);
    if (top !== undefined && mountsOf(row, [top]).length === 0)
      throw new CellarError('E_CHECKOUT_BUSY', {
        details: { path: toText(row.path) },
        hint: `something else is mounted over it: 'umount ${toText(row.path)}' takes that away`,
      });
    try {
      unmount(row.path, { detach: options.force });
    } catch (cause) {
      if (!isErrno(cause, 'EBUSY')) throw cause;
      throw new CellarError('E_CHECKOUT_BUSY', {
        details: { path: toText(row.path) },
        hint: `${busyWith(row.path)}, or detach it with --force`,
        cause,
      });
    }
  }
}

function busyWith(path: ByteString): string {
  const inside = mountsAt(path, { below: true }).filter(({ mountPoint }) => mountPoint !== path);
  return inside.length === 0
    ? `stop what runs there first (fuser -m ${toText(path)} names it)`
    : `unmount or release first what is mounted in it (${inside.map(({ mountPoint }) => toText(mountPoint)).join(', ')})`;
}

/** Attach a mount at a directory of its own only until disposed: what was made from it meanwhile stays. */
export function attachFor(path: ByteString, attach: () => void): { readonly path: ByteString } & Disposable {
  using stack = new DisposableStack();
  mkdirSync(toBytes(path), { recursive: true, mode: 0o700 });
  stack.defer(() => rmdirSync(toBytes(path)));
  attach();
  stack.defer(() => unmount(path, { detach: true }));
  const attached = stack.move();
  return { path, [Symbol.dispose]: () => attached.dispose() };
}
