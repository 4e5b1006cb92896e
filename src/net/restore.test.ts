import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fetchAll } from '../../test/support/downloading.ts';
import { serve } from '../../test/support/http-server.ts';
import { honest, noise } from '../../test/support/lying-server.ts';
import { makeScratch } from '../../test/support/scratch.ts';

const mib = 1 << 20;
const content = noise(8 * mib);
const etag = '"l"';

/** What a process left that was killed when it had `bytes`, of which those from `hole` on for half a block were under way. */
function killed(directory: string, url: string, { bytes, hole, settled }: Left): void {
  mkdirSync(directory, { recursive: true });
  const part = Buffer.from(content.subarray(0, bytes));
  part.fill(0, hole, hole + mib / 2);
  writeFileSync(join(directory, 'k.part'), part);
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const state = { url, size: content.length, etag, ...(settled === undefined ? {} : { settled }) };
  writeFileSync(join(directory, 'k.json'), JSON.stringify({ format: 1, boot, state }));
}

interface Left {
  readonly bytes: number;
  readonly hole: number;
  readonly settled?: number;
}

test('blocks that were under way when a process was killed are fetched again, whatever the length says', async () => {
  await using server = await serve(honest({ content, etag }));
  for (const [left, from] of [
    [{ bytes: 6 * mib, hole: 4.5 * mib }, 3 * mib],
    [{ bytes: 6 * mib, hole: 5.25 * mib, settled: 5 * mib }, 5 * mib],
    // All of it seems to be there.
    [{ bytes: 8 * mib, hole: 6 * mib }, 5 * mib],
    [{ bytes: 2 * mib, hole: 0.5 * mib }, undefined],
  ] as const) {
    using scratch = makeScratch('restore');
    killed(scratch.path, `${server.url}/`, left);
    server.requests.length = 0;
    const { file } = await fetchAll([server.url], scratch.path);
    assert.ok(file.equals(content));
    const range = from === undefined ? undefined : `bytes=${from}-`;
    assert.deepEqual(
      server.requests.map(({ headers }) => headers.range),
      [range],
    );
  }
});

test('what was there when a connection ended is not fetched again', async () => {
  using scratch = makeScratch('restore');
  await using server = await serve(honest({ content, etag }));
  await fetchAll([server.url], scratch.path, { keep: true });
  const { state } = JSON.parse(readFileSync(join(scratch.path, 'k.json'), 'utf8')) as {
    state: { settled: number };
  };
  assert.equal(state.settled, content.length);
});
