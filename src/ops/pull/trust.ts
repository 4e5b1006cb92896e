/** Who names a keyring or a signer means it, also when nothing is new: was the image that is there signed by one of them? */
import type { ImageRecord } from '../../core/record.ts';
import type { Keyring } from '../../source/verify/keyring.ts';
import type { Pulling } from './offer.ts';

/**
 * Keys that are not named are those of the store: what they signed once is not asked again of the image that a reference
 * has, and only of that; a key that was taken out vouches for nothing new.
 * @throws E_KEYRING_INVALID, E_COSIGN_TRUST, E_USAGE; so does the function that is returned
 */
export async function trustedSigners({
  store,
  options,
}: Pulling): Promise<(of: ImageRecord, isPresent: boolean) => Promise<boolean>> {
  const { keyrings = [], cosign, verify } = options;
  const load = async (): Promise<Keyring> => {
    const { loadKeyring } = await import('../../source/verify/keyring.ts');
    return await loadKeyring({ store: store.root, files: keyrings });
  };
  // One that is named is to be one, also where nothing is held to it. That of the store is seldom asked for.
  let keyring = keyrings.length > 0 || cosign !== undefined ? await load() : undefined;
  return async ({ kind, provenance: { verified, signer = '' } }, isPresent) => {
    if (verify === 'no' || verify === 'checksum') return true;
    if (kind === 'oci') return cosign === undefined || signer === (await cosignerOf(cosign));
    if ((keyrings.length === 0 && isPresent) || verified !== 'signature') return true;
    keyring ??= await load();
    const { keyStateOf } = await import('../../source/verify/openpgp.ts');
    const by = (await keyring.keys()).find((key) => signer.startsWith(key.getFingerprint().toUpperCase()));
    // Who has it revoked says that what it signed is not to be believed; that it has expired since says less.
    return by !== undefined && (await keyStateOf(by, new Date())).state !== 'revoked';
  };
}

async function cosignerOf(cosign: NonNullable<Pulling['options']['cosign']>): Promise<string> {
  const { trustedCosigner } = await import('../../source/verify/cosign-offer.ts');
  return await trustedCosigner(cosign);
}
