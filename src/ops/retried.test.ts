import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CellarError, isCellarError } from '../core/errors.ts';
import type { CellarEvent } from '../core/events.ts';
import { retried } from './retried.ts';

const trouble = new CellarError('E_HTTP_TIMEOUT', { details: { url: 'http://h/', seconds: 1 } });
const refusal = new CellarError('E_NOT_FOUND', { details: { reference: 'a:1', store: '/s' } });

async function attempts(errors: readonly CellarError[], tries: number): Promise<[number, CellarEvent[]]> {
  const events: CellarEvent[] = [];
  let count = 0;
  await retried(
    async () => {
      const error = errors[count++];
      if (error !== undefined) throw error;
    },
    { tries, pauseMs: 1, signal: new AbortController().signal, events: (event) => events.push(event) },
  );
  return [count, events];
}

test('trouble on the way is met again, and told of', async () => {
  const [count, events] = await attempts([trouble, trouble], 3);
  assert.equal(count, 3);
  assert.equal(events.length, 2);
});

test('the last try counts, and a refusal at once', async () => {
  await assert.rejects(attempts([trouble, trouble, trouble], 3), (error) =>
    isCellarError(error, 'E_HTTP_TIMEOUT'),
  );
  await assert.rejects(attempts([refusal], 3), (error) => isCellarError(error, 'E_NOT_FOUND'));
});

test('cancelling ends the pause', async () => {
  const work = retried(async () => Promise.reject(trouble), {
    ...{ tries: 3, pauseMs: 600_000, signal: AbortSignal.timeout(20), events: () => undefined },
  });
  await assert.rejects(work, (error) => isCellarError(error, 'E_CANCELLED'));
});
