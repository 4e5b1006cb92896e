/** OpenPGP keys and signatures for tests, made by the library; what GnuPG makes is in test/peers. */
import { createCleartextMessage, createMessage, generateKey, sign, type PrivateKey } from 'openpgp';
import type { Keyring } from '../../src/source/verify/keyring.ts';

export const signedAt = new Date('2026-03-01T12:00:00Z');

export interface TestKey {
  readonly secret: PrivateKey;
  readonly fingerprint: string;
}

export async function makeTestKey(
  name = 'Site <ops@example.org>',
  options: { readonly days?: number; readonly created?: Date } = {},
): Promise<TestKey> {
  const { privateKey } = await generateKey({
    type: 'ecc',
    userIDs: [{ name }],
    date: options.created ?? new Date('2026-01-01T00:00:00Z'),
    keyExpirationTime: (options.days ?? 0) * 86_400,
    format: 'object',
  });
  return { secret: privateKey, fingerprint: privateKey.getFingerprint().toUpperCase() };
}

export async function signDetached(
  { secret }: TestKey,
  bytes: Uint8Array,
  options: { readonly armoured?: boolean; readonly at?: Date } = {},
): Promise<Buffer> {
  const message = await createMessage({ binary: bytes });
  const request = { message, signingKeys: secret, detached: true, date: options.at ?? signedAt } as const;
  return Buffer.from(
    options.armoured === true ? await sign(request) : await sign({ ...request, format: 'binary' }),
  );
}

export async function signInTheClear({ secret }: TestKey, text: string): Promise<Buffer> {
  const message = await createCleartextMessage({ text });
  return Buffer.from(await sign({ message, signingKeys: secret, date: signedAt }));
}

export function keyringOf(...keys: readonly TestKey[]): Keyring {
  return { keys: async () => keys.map(({ secret }) => secret.toPublic()) };
}
