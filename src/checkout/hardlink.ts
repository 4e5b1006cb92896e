/**
 * Hard links to the store's inodes. One write through a bare link would change every image that has the file, so root
 * gets them sealed: the links lie inside the store and the directory shows them through a read-only bind mount. Without
 * root there is no seal; the links are made in the directory itself, and only when they are asked for.
 */
import { fromText, type ByteString } from '../core/bytes.ts';
import { removeTree } from '../store/remove-tree.ts';
import { bindMount, makePrivate } from '../sys/mount.ts';
import { mayMount } from '../sys/privilege.ts';
import { parentPath } from '../tree/entry.ts';
import { baseOf, ensureBase } from './base.ts';
import { materializeAt, materializeBeside, type Manner } from './beside.ts';
import { no, yes, type CheckoutMethod } from './port.ts';
import { lockShared } from './private.ts';
import { checkTarget, makeMountPoint } from './target.ts';
import { canHardlink } from './trial.ts';
import { unmountCheckout } from './unmount.ts';

/** The inode tells whether content is what it was; objects are hashed only when that is asked for. */
const manner: Manner = { content: 'link' };

export const hardlink: CheckoutMethod = {
  name: 'hardlink',
  available(request) {
    if (request.writable) return no('writing through a hard link would change the image itself');
    if (request.store.privileged)
      return mayMount() ? yes : no('mounting is not permitted here, and bare links could be written through');
    return canHardlink(fromText(request.staging), parentPath(request.target))
      ? yes
      : no('the store and the directory are not on one file system');
  },
  async checkout(request) {
    const { store, target, verify, signal, note } = request;
    if (!store.privileged)
      return materializeBeside(request, { ...manner, hashNewer: verify === 'always' ? -Infinity : Infinity });
    const base = await ensureBase(request, 'linked', (tree) => materializeAt(request, tree, manner));
    using _lock = await lockShared(store, signal);
    checkTarget(target);
    const madeTarget = makeMountPoint(request);
    note({ undo: 'unmount', path: target });
    show(base.path, target);
    return { skipped: base.skipped, madeTarget };
  },
  unmount(_store, row, options) {
    if (row.privileged) unmountCheckout(row, options);
  },
  async remove(_store, row) {
    if (!row.privileged) removeTree(row.path);
  },
  async remount(store, row) {
    show(baseOf(store, 'linked', row), row.path);
  },
};

function show(links: ByteString, target: ByteString): void {
  bindMount(links, target, { readOnly: true });
  makePrivate(target);
}
