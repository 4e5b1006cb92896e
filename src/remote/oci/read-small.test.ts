import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serve } from '../../../test/support/http-server.ts';
import { cutShort, honest, inTurn } from '../../../test/support/lying-server.ts';
import { ignoreEvents } from '../../core/events.ts';
import { createHttpClient } from '../../net/http-client.ts';
import { askSmall } from './read-small.ts';

const { signal } = new AbortController();

test('a body that breaks off, by an end or a reset, is asked for again; a long one is refused', async () => {
  const offered = { content: Buffer.from('a small body') };
  const broken = [cutShort(offered, 3), cutShort(offered, 3, { reset: true })];
  await using server = await serve(inTurn(...broken, honest(offered)));
  await using client = createHttpClient({ retries: 0 }, { events: ignoreEvents, environment: {} });
  const ask = async () => await client.open(server.url, { signal });
  assert.equal((await askSmall(ask, 100)).bytes.toString(), 'a small body');
  assert.equal(server.requests.length, 3);
  await assert.rejects(askSmall(ask, 11), { code: 'E_REGISTRY_INVALID' });
  assert.equal(server.requests.length, 4);
});
