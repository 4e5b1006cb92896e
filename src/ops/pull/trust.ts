/** Who names a keyring or a signer means it, also when nothing is new: was the image that is there signed by one of them? */
import type { ImageRecord } from '../../core/record.ts';
import type { Pulling } from './offer.ts';

/**
 * Keys that are not named are those of the store: what was signed by them once is not asked again.
 * @throws E_KEYRING_INVALID, E_COSIGN_TRUST, E_USAGE; so does the function that is returned
 */
export async function trustedSigners({
  store,
  options,
}: Pulling): Promise<(of: ImageRecord) => Promise<boolean>> {
  const { keyrings = [], cosign, verify } = options;
  if (keyrings.length === 0 && cosign === undefined) return async () => true;
  const { loadKeyring } = await import('../../source/verify/keyring.ts');
  const { keyStateOf } = await import('../../source/verify/openpgp.ts');
  const keyring = await loadKeyring({ store: store.root, files: keyrings });
  return async ({ kind, provenance: { verified, signer = '' } }) => {
    if (verify === 'no' || verify === 'checksum') return true;
    if (kind === 'oci') return cosign === undefined || signer === (await cosignerOf(cosign));
    if (keyrings.length === 0 || verified !== 'signature') return true;
    const by = (await keyring.keys()).find((key) => signer.startsWith(key.getFingerprint().toUpperCase()));
    // Who has it revoked says that what it signed is not to be believed; that it has expired since says less.
    return by !== undefined && (await keyStateOf(by, new Date())).state !== 'revoked';
  };
}

async function cosignerOf(cosign: NonNullable<Pulling['options']['cosign']>): Promise<string> {
  const { trustedCosigner } = await import('../../source/verify/cosign-offer.ts');
  return await trustedCosigner(cosign);
}
