/** What was taken is what is proven: a file of this machine may change between the two. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratch } from '../../../test/support/scratch.ts';
import { sha256 } from '../../core/digest.ts';
import type { Part } from '../../source/port.ts';
import { openPart, provenAfter, type Transfer } from './parts.ts';

const signer = { fingerprint: 'AB', user: 'Site' };

/** Proven by a signature that holds for whatever it is given. */
function transferOf(wanted?: string): Transfer {
  const evidence = {
    async verifyFile(chunks: AsyncIterable<Uint8Array>) {
      for await (const _ of chunks);
      return signer;
    },
  };
  return {
    pulling: { context: { signal: new AbortController().signal } },
    proof: { digestOf: () => wanted, evidenceOf: () => evidence },
  } as unknown as Transfer;
}

test('bytes that a signature is held against are those that were taken', async () => {
  using scratch = makeScratch('parts');
  const path = join(scratch.path, 'image');
  writeFileSync(path, 'taken');
  const part = { name: 'image', role: 'content', from: { type: 'file', path } } as unknown as Part;
  const meter = { add() {}, end() {} };
  let discarded = 0;
  const incoming = await openPart(transferOf(), part, { meter, passing: false });
  const watched = { ...incoming, discard: async () => void discarded++ };
  for await (const _ of incoming.chunks());
  const { digest } = await incoming.finished();
  assert.equal(digest, sha256('taken'));
  await provenAfter(transferOf(), part, { incoming: watched, digest });
  assert.equal(discarded, 0);
  writeFileSync(path, 'other');
  await assert.rejects(provenAfter(transferOf(), part, { incoming: watched, digest }), {
    code: 'E_SOURCE_CHANGED',
  });
  assert.equal(discarded, 1);
  const held = await openPart(transferOf(digest), part, { meter, passing: false });
  for await (const _ of held.chunks());
  await assert.rejects(held.finished(), { code: 'E_CHECKSUM_MISMATCH' });
});
