/**
 * The OpenPGP keys of a store: `keys/FINGERPRINT.pgp` are public and trusted by pull, `keys/secret/FINGERPRINT.pgp` are
 * secret and sign exports. Binary, as gpgv and systemd want a keyring, one key in each file, replaced atomically.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import type { PrivateKey, PublicKey } from 'openpgp';
import { fromText } from '../../core/bytes.ts';
import { CellarError } from '../../core/errors.ts';
import { inStore } from '../../store/layout.ts';
import { fsyncDir, writeFileAtomic } from '../../sys/atomic.ts';
import { toCellarError } from '../../sys/errno.ts';
import { keyFilesIn, mergeKeys, parseKeys, readKeyFile, storeKeyFiles } from './keyring.ts';

export type KeyHalf = 'public' | 'secret';

/** @throws E_KEYRING_INVALID */
export async function readPublicKeys(store: string): Promise<PublicKey[]> {
  const files = await Promise.all(storeKeyFiles(store).map((path) => parseKeys(readKeyFile(path), path)));
  return files.flat();
}

/** @throws E_KEYRING_INVALID */
export async function readSecretKeys(store: string): Promise<PrivateKey[]> {
  const paths = keyFilesIn(directoryOf(store, 'secret'));
  const files = await Promise.all(paths.map((path) => parseKeys(readKeyFile(path), path)));
  return files.flat().filter((key) => key.isPrivate());
}

export function hasSecretKey(store: string, key: PublicKey): boolean {
  return existsSync(fileOf(store, key, 'secret'));
}

/**
 * Keeps the public half, joined with what is known of that key already, and the secret one where it is given.
 * @throws E_NOT_ALLOWED, E_NO_SPACE
 */
export async function saveKey(store: string, key: PublicKey): Promise<'new' | 'updated' | 'unchanged'> {
  if (key.isPrivate()) write(store, key, 'secret');
  const path = fileOf(store, key, 'public');
  const fresh = key.toPublic();
  const [present] = existsSync(path) ? await parseKeys(readKeyFile(path), path) : [];
  if (present === undefined) {
    write(store, fresh, 'public');
    return 'new';
  }
  const before = Buffer.from(present.write());
  const [merged] = await mergeKeys([present, fresh]);
  if (before.equals(merged!.write())) return 'unchanged';
  write(store, merged!, 'public');
  return 'updated';
}

export function removeKeyFiles(store: string, key: PublicKey): void {
  for (const half of ['public', 'secret'] as const) {
    if (!existsSync(fileOf(store, key, half))) continue;
    rmSync(fileOf(store, key, half), { force: true });
    fsyncDir(fromText(directoryOf(store, half)));
  }
}

/**
 * The one key that a fingerprint (or its last 8 or more digits) or a part of a user ID names.
 * @throws E_KEY_NOT_FOUND, E_KEY_AMBIGUOUS
 */
export function selectKey<K extends PublicKey>(
  keys: readonly K[],
  text: string,
  { store, half }: { store: string; half: KeyHalf },
): K {
  const hex = text.replace(/^0x|\s/gi, '').toLowerCase();
  const byPrint = /^[0-9a-f]{8,64}$/.test(hex)
    ? keys.filter((key) => key.getFingerprint().endsWith(hex))
    : [];
  const matches = byPrint.length > 0 ? byPrint : keys.filter((key) => hasUser(key, text));
  if (matches.length > 1)
    throw new CellarError('E_KEY_AMBIGUOUS', {
      details: { key: text, matches: matches.map((key) => key.getFingerprint().toUpperCase()) },
    });
  if (matches[0] === undefined)
    throw new CellarError('E_KEY_NOT_FOUND', { details: { key: text, kind: half, store } });
  return matches[0];
}

function hasUser(key: PublicKey, text: string): boolean {
  const wanted = text.trim().toLowerCase();
  return wanted !== '' && key.getUserIDs().some((user) => user.toLowerCase().includes(wanted));
}

function write(store: string, key: PublicKey, half: KeyHalf): void {
  const path = fileOf(store, key, half);
  try {
    mkdirSync(directoryOf(store, half), { recursive: true, mode: 0o700 });
    writeFileAtomic(fromText(path), key.write(), { mode: 0o600 });
  } catch (error) {
    throw toCellarError(error, { doing: 'keeping a key', path });
  }
}

function fileOf(store: string, key: PublicKey, half: KeyHalf): string {
  return `${directoryOf(store, half)}/${key.getFingerprint()}.pgp`;
}

function directoryOf(store: string, half: KeyHalf): string {
  return half === 'secret' ? `${inStore(store, 'keys')}/secret` : inStore(store, 'keys');
}
