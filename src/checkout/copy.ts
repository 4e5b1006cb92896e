/** Copy: every file written anew and hashed on the way. Works everywhere, costs the tree's size. */
import { materializeBeside } from './beside.ts';
import { removeTree } from '../store/remove-tree.ts';
import { yes, type CheckoutMethod } from './port.ts';

export const copy: CheckoutMethod = {
  name: 'copy',
  available: () => yes,
  checkout: (request) => materializeBeside(request, { content: 'copy' }),
  async remove(_store, row) {
    removeTree(row.path);
  },
};
