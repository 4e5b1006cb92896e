/**
 * Overlay: a writable upper over hard links that lie sealed inside the store. For kernels without EROFS, and for trees
 * an EROFS image cannot hold. The first checkout of an image links its files once; later ones take milliseconds.
 */
import { removeTree } from '../store/remove-tree.ts';
import { mountSource } from '../store/checkout-mounts.ts';
import { makePrivate } from '../sys/mount.ts';
import { mountOverlay } from '../sys/overlay.ts';
import { baseOf, ensureBase } from './base.ts';
import { hashNewer, materializeAt } from './beside.ts';
import { no, yes, type CheckoutMethod } from './port.ts';
import { lockShared, upperHome } from './private.ts';
import { checkTarget, makeMountPoint } from './target.ts';
import { asUnavailable } from './unavailable.ts';
import { unmountCheckout } from './unmount.ts';
import { makeUpper, upperOf } from './upper.ts';

export const overlay: CheckoutMethod = {
  name: 'overlay',
  available({ store, treeRow, writable }) {
    if (!store.privileged) return no('mounting needs root');
    if (!writable) return no('a sealed hard-link checkout does the same without an overlay');
    if (treeRow.traits.whiteouts)
      return no('the tree holds character devices 0:0, which overlayfs takes for deletions');
    if (treeRow.traits.overlayXattrs)
      return no('the tree holds overlay xattrs, which overlayfs would interpret');
    return yes;
  },
  async checkout(request) {
    const { store, id, target, signal, note } = request;
    const base = await ensureBase(request, 'base', (tree) =>
      materializeAt(request, tree, { content: 'link', hashNewer: hashNewer(request), separate: true }),
    );
    using _lock = await lockShared(store, signal);
    checkTarget(target);
    return asUnavailable('overlay', () => {
      const upper = makeUpper(request, base.path);
      const madeTarget = makeMountPoint(request);
      note({ undo: 'unmount', path: target });
      mountOverlay({ lower: [base.path], ...upper, target, source: mountSource(id) });
      makePrivate(target);
      return { skipped: base.skipped, madeTarget };
    });
  },
  unmount(_store, row, options) {
    unmountCheckout(row, options);
  },
  async remove(store, row) {
    removeTree(upperHome(store, row.id));
  },
  async remount(store, row) {
    const upper = upperOf(store, row.id);
    mountOverlay({
      lower: [baseOf(store, 'base', row)],
      ...upper,
      target: row.path,
      source: mountSource(row.id),
    });
    makePrivate(row.path);
  },
};
