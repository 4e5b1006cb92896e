/**
 * Hard links to the store's inodes. One write through a bare link would change every image that has the file, so root
 * gets them sealed: the links lie inside the store and the directory shows them through a read-only bind mount. Without
 * root there is no seal; the links are made in the directory itself, and only when they are asked for.
 */
import { lstatSync } from 'node:fs';
import { fromText, toBytes, toText } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { removeTree } from '../store/remove-tree.ts';
import { bindMount, makePrivate } from '../sys/mount.ts';
import { materializeAt, materializeBeside, type Manner } from './beside.ts';
import { unmountCheckout } from './unmount.ts';
import { no, yes, type CheckoutMethod, type CheckoutRequest } from './port.ts';
import { privatePath } from './private.ts';
import { makeMountPoint, parentOf } from './target.ts';
import { canHardlink } from './trial.ts';

export const hardlink: CheckoutMethod = {
  name: 'hardlink',
  available(request) {
    if (request.writable) return no('writing through a hard link would change the image itself');
    if (request.store.privileged) return yes;
    return canHardlink(fromText(request.staging), parentOf(request.target))
      ? yes
      : no('the store and the directory are not on one file system');
  },
  async checkout(request) {
    if (!request.store.privileged) return materializeBeside(request, manner(request));
    const links = privatePath(request.store, 'linked', request.id);
    request.note({ undo: 'remove', path: links });
    const skipped = await materializeAt(request, links, manner(request));
    const madeTarget = makeMountPoint(request);
    show(request, links);
    return { skipped, madeTarget };
  },
  async release(store, row, options) {
    if (!row.privileged) return removeTree(row.path);
    unmountCheckout(row, options);
    removeTree(privatePath(store, 'linked', row.id));
  },
  async remount(store, row) {
    const links = privatePath(store, 'linked', row.id);
    if (lstatSync(toBytes(links), { throwIfNoEntry: false }) === undefined)
      throw new CellarError('E_CHECKOUT_NOT_FOUND', {
        details: { path: toText(row.path), store: store.root },
        hint: `its files are gone from the store; 'cellar release ${toText(row.path)}' and check it out again`,
      });
    bindMount(links, row.path, { readOnly: true });
    makePrivate(row.path);
  },
};

/** The inode tells whether content is what it was; it is hashed only when that is asked for. */
function manner({ verify }: CheckoutRequest): Manner {
  return { content: 'link', verify: verify === 'always' };
}

function show({ target, note }: CheckoutRequest, links: string): void {
  note({ undo: 'unmount', path: target });
  bindMount(links, target, { readOnly: true });
  makePrivate(target);
}
