/** An OCI image without a signer that is named: what its digest proves, and what it does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '../../core/digest.ts';
import type { Offer } from '../../source/port.ts';
import type { VerifyLevel } from '../../source/verify/evidence.ts';
import { gatherOfferEvidence } from './evidence.ts';
import type { Looked } from './look.ts';
import type { Pulling } from './offer.ts';

const bytes = Buffer.from('{}');
const manifest = { name: 'manifest', role: 'content', sha256: sha256(bytes), from: { type: 'bytes', bytes } };
const offer = { kind: 'oci', platform: 'linux/amd64', revision: '1', parts: [manifest] } as unknown as Offer;

async function levelOf(options: Partial<Pulling['options']>, before?: VerifyLevel): Promise<string> {
  const pulling = { options: { source: 'docker://host/a', ...options } } as unknown as Pulling;
  const { level, expected } = await gatherOfferEvidence(pulling, {} as Looked, offer, before);
  assert.equal(expected, manifest.sha256);
  return level;
}

test('the digest of the manifest is its sum; less than before must be said', async () => {
  assert.equal(await levelOf({}), 'checksum');
  assert.equal(await levelOf({}, 'checksum'), 'checksum');
  assert.equal(await levelOf({ sha256: manifest.sha256 }), 'checksum');
  assert.equal(await levelOf({ verify: 'checksum' }, 'signature'), 'checksum');
  assert.equal(await levelOf({ verify: 'no' }, 'signature'), 'no');
  await assert.rejects(levelOf({}, 'signature'), { code: 'E_VERIFICATION_DOWNGRADE' });
  await assert.rejects(levelOf({ verify: 'signature' }), { code: 'E_VERIFICATION_UNAVAILABLE' });
});

test('another digest than the one that is named is refused, however little is asked for', async () => {
  for (const verify of [undefined, 'no', 'checksum'] as const)
    await assert.rejects(
      levelOf({ sha256: sha256('another'), ...(verify === undefined ? {} : { verify }) }),
      { code: 'E_CHECKSUM_MISMATCH' },
    );
});
