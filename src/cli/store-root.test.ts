import assert from 'node:assert/strict';
import { test } from 'node:test';
import { otherStores, storeRoot, systemStore } from './store-root.ts';

test('the flag, then the environment, then the default of the user', () => {
  const env = { CELLAR_STORE: '/env', HOME: '/home/u', XDG_DATA_HOME: '/data' };
  assert.equal(storeRoot({ store: '/flag', env, uid: 0 }), '/flag');
  assert.equal(storeRoot({ env, uid: 0 }), '/env');
  assert.equal(storeRoot({ env: { ...env, CELLAR_STORE: '' }, uid: 0 }), systemStore);
  assert.equal(storeRoot({ env: { XDG_DATA_HOME: '/data' }, uid: 1000 }), '/data/cellar');
  assert.equal(
    storeRoot({ env: { XDG_DATA_HOME: 'relative', HOME: '/home/u' }, uid: 1000 }),
    '/home/u/.local/share/cellar',
  );
  assert.equal(storeRoot({ env: {}, uid: 1000 }), systemStore);
});

test('other stores are those that were not searched', () => {
  const env = { HOME: '/home/u' };
  assert.deepEqual(otherStores('/x', { env, uid: 1000 }), ['/home/u/.local/share/cellar', systemStore]);
  assert.deepEqual(otherStores(systemStore, { env, uid: 0 }), ['/home/u/.local/share/cellar']);
});
