import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeScratch } from '../../test/support/scratch.ts';
import { openStore } from '../store/store.ts';
import { beginTransaction } from '../store/transaction.ts';
import { impliedDirectory, type Entry } from '../tree/entry.ts';
import { hostPlatform } from '../core/platform.ts';
import { objectChunks } from './object-chunks.ts';

test('cancelled while it is hashed: nothing of it is handed on', async () => {
  using scratch = makeScratch('chunks');
  using store = openStore(`${scratch.path}/store`, { create: true });
  const content = Buffer.alloc(3 << 20, 'x');
  await using transaction = await beginTransaction(store);
  const digest = transaction.adopt.bytes(content);
  const file: Entry = { ...impliedDirectory('/f'), type: 'file', size: content.length, digest };
  await transaction.commit({
    entries: [impliedDirectory('/'), file],
    ...{ platform: hostPlatform, labels: {}, action: 'import', references: ['x:latest'] },
    provenance: { via: 'import', source: '-', verified: 'no' },
  });
  const read = async (signal: AbortSignal): Promise<number> => {
    let bytes = 0;
    for await (const chunk of objectChunks(store, digest, signal)) bytes += chunk.length;
    return bytes;
  };
  assert.equal(await read(new AbortController().signal), content.length);
  const controller = new AbortController();
  setImmediate(() => controller.abort());
  await assert.rejects(read(controller.signal), { code: 'E_CANCELLED' });
});
