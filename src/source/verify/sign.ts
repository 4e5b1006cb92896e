/** Making keys and signatures that GnuPG, systemd and we ourselves accept. */
import type { PrivateKey } from 'openpgp';
import { existsSync } from 'node:fs';
import { CellarError } from '../../core/errors.ts';
import { readSecretKeys, selectKey } from './key-store.ts';
import { parseKeys, readKeyFile } from './keyring.ts';
import { signerOf, type Signer } from './openpgp.ts';

export interface SigningKey {
  readonly signer: Signer;
  /** One detached signature, in both forms. */
  sign(bytes: Uint8Array): Promise<{ binary: Buffer; armoured: string }>;
}

export interface KeyChoice {
  /** Fingerprint or user ID of a key of the store, or the path of a file with one secret key. */
  readonly key: string;
  readonly passphrase?: string | undefined;
  readonly now?: Date;
}

/** Ready to sign. @throws E_KEY_NOT_FOUND, E_KEY_AMBIGUOUS, E_KEY_PASSPHRASE, E_KEY_UNUSABLE, E_KEYRING_INVALID */
export async function openSigningKey(store: string, choice: KeyChoice): Promise<SigningKey> {
  const { now = new Date() } = choice;
  const locked = await findSecretKey(store, choice.key);
  const signer = await signerOf(locked, now);
  const { decryptKey } = await import('openpgp');
  // Asked before it is unlocked, so that a key that could not sign anyway needs no passphrase.
  const signing = await locked.getSigningKey(undefined, now).catch((error: unknown) => {
    throw unusable(signer, (error as Error).message);
  });
  if ('isMissingSecretKeyMaterial' in signing.keyPacket && signing.keyPacket.isMissingSecretKeyMaterial())
    throw unusable(signer, 'its secret half is kept elsewhere, on a card or offline');
  const { passphrase } = choice;
  const unlocked = locked.isDecrypted()
    ? locked
    : await decryptKey({ privateKey: locked, passphrase: passphrase ?? '' }).catch(() => {
        const given = passphrase === undefined ? 'no passphrase' : 'this passphrase';
        throw new CellarError('E_KEY_PASSPHRASE', { details: { key: signer.fingerprint, given } });
      });
  return { signer, sign: async (bytes) => await signDetached(unlocked, bytes, now) };
}

export interface NewKey {
  /** User ID: `Name <address>`. */
  readonly user: string;
  /** Milliseconds from `now`; never, where it is left out. */
  readonly expiresIn?: number | undefined;
  readonly passphrase?: string | undefined;
  readonly now: Date;
}

/** An Ed25519 key that certifies and signs, in the form that GnuPG has read since 2.1. */
export async function makeKey({ user, expiresIn = 0, passphrase, now }: NewKey): Promise<PrivateKey> {
  const { enums, generateKey } = await import('openpgp');
  const { privateKey } = await generateKey({
    type: 'ecc',
    curve: enums.curve.ed25519Legacy,
    userIDs: [{ name: user }],
    subkeys: [],
    date: now,
    keyExpirationTime: Math.ceil(expiresIn / 1000),
    ...(passphrase === undefined ? {} : { passphrase }),
    format: 'object',
  });
  return privateKey;
}

async function signDetached(
  signingKeys: PrivateKey,
  bytes: Uint8Array,
  date: Date,
): Promise<{ binary: Buffer; armoured: string }> {
  const { createMessage, readSignature, sign } = await import('openpgp');
  const message = await createMessage({ binary: bytes });
  const binary = await sign({ message, signingKeys, detached: true, format: 'binary', date });
  const signature = await readSignature({ binarySignature: binary });
  return { binary: Buffer.from(binary), armoured: signature.armor() };
}

async function findSecretKey(store: string, text: string): Promise<PrivateKey> {
  const isPath = text.includes('/');
  const ofStore = isPath ? [] : await readSecretKeys(store);
  try {
    if (!isPath) return selectKey(ofStore, text, { store, half: 'secret' });
  } catch (error) {
    if (!(error instanceof CellarError) || error.code !== 'E_KEY_NOT_FOUND' || !existsSync(text)) throw error;
  }
  const secret = (await parseKeys(readKeyFile(text), text)).filter((key) => key.isPrivate());
  if (secret.length === 1) return secret[0]!;
  throw new CellarError('E_KEYRING_INVALID', {
    details: { path: text, problem: `there are ${secret.length} secret keys in it, and one is wanted` },
    hint: "'gpg --export-secret-keys KEY > FILE' writes one",
  });
}

function unusable({ fingerprint }: Signer, problem: string): CellarError {
  return new CellarError('E_KEY_UNUSABLE', { details: { key: fingerprint, problem } });
}
