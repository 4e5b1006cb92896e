/** Reflink: files share their extents with the store's objects, copy on write (XFS, btrfs, bcachefs). */
import { fromText } from '../core/bytes.ts';
import { removeTree } from '../store/remove-tree.ts';
import { parentPath } from '../tree/entry.ts';
import { hashNewer, materializeBeside } from './beside.ts';
import { no, yes, type CheckoutMethod } from './port.ts';
import { canReflink } from './trial.ts';

export const reflink: CheckoutMethod = {
  name: 'reflink',
  available: ({ staging, target }) =>
    canReflink(fromText(staging), parentPath(target))
      ? yes
      : no('the store and the directory share no file system with reflinks'),
  checkout: (request) => materializeBeside(request, { content: 'reflink', hashNewer: hashNewer(request) }),
  async remove(_store, row) {
    removeTree(row.path);
  },
};
