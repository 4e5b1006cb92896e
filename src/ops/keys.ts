/** `cellar keys`: the OpenPGP keys that a store trusts and signs with. */
import type { PublicKey } from 'openpgp';
import { CellarError } from '../core/errors.ts';
import {
  hasSecretKey,
  readPublicKeys,
  removeKeyFiles,
  saveKey,
  selectKey,
} from '../source/verify/key-store.ts';
import { parseKeys, readKeyFile } from '../source/verify/keyring.ts';
import { keyStateOf, signerOf, type KeyState } from '../source/verify/openpgp.ts';
import { makeKey } from '../source/verify/sign.ts';
import { openStore, type Store } from '../store/store.ts';
import type { Context } from './context.ts';

export interface KeyInfo extends KeyState {
  /** Upper-case hex digits. */
  readonly fingerprint: string;
  readonly user: string;
  /** For instance `ed25519` or `rsa 4096`. */
  readonly algorithm: string;
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** The store has the secret half, too. */
  readonly secret: boolean;
}

/** @throws E_NO_STORE, E_KEYRING_INVALID */
export async function listKeys(context: Context): Promise<readonly KeyInfo[]> {
  using store = openStore(context.storeRoot, { readOnly: true });
  const keys = await readPublicKeys(store.root);
  const infos = await Promise.all(keys.map((key) => keyInfo(store, key)));
  const order = ({ user, fingerprint }: KeyInfo): string => `${user}\n${fingerprint}`;
  return infos.sort((a, b) => (order(a) < order(b) ? -1 : 1));
}

export interface AddedKey extends KeyInfo {
  readonly change: 'new' | 'updated' | 'unchanged';
}

/** All keys of a file, or of standard input for `-`; secret ones with their secret half. @throws E_KEYRING_INVALID */
export async function addKeys(context: Context, { file }: { file: string }): Promise<readonly AddedKey[]> {
  const keys = await parseKeys(readKeyFile(file === '-' ? '/dev/stdin' : file), file);
  using store = openWritable(context);
  const added: AddedKey[] = [];
  for (const key of keys) {
    const change = await saveKey(store.root, key);
    added.push({ change, ...(await keyInfo(store, key)) });
  }
  return added;
}

export interface RemoveKeyOptions {
  /** Fingerprint, the end of one, or part of a user ID. */
  readonly key: string;
  /** The secret half, too. */
  readonly force?: boolean;
}

/** @throws E_KEY_NOT_FOUND, E_KEY_AMBIGUOUS, E_KEY_SECRET */
export async function removeKey(context: Context, options: RemoveKeyOptions): Promise<KeyInfo> {
  using store = openWritable(context);
  const key = await find(store, options.key);
  const info = await keyInfo(store, key);
  if (info.secret && options.force !== true)
    throw new CellarError('E_KEY_SECRET', { details: { key: info.fingerprint } });
  removeKeyFiles(store.root, key);
  return info;
}

export interface NewKeyOptions {
  /** `Name <address>`. */
  readonly user: string;
  /** Milliseconds from now. */
  readonly expires?: number | undefined;
  readonly passphrase?: string | undefined;
}

/** @throws E_USAGE */
export async function newKey(
  context: Context,
  { user, expires, passphrase }: NewKeyOptions,
): Promise<KeyInfo> {
  const name = user.trim();
  if (name === '' || /[\p{Cc}]/u.test(name) || Buffer.byteLength(name) > 500)
    throw new CellarError('E_USAGE', {
      details: { problem: 'a key needs the name of its owner' },
      hint: "for instance cellar keys new 'Site <ops@example.org>'",
    });
  using store = openWritable(context);
  const key = await makeKey({ user: name, expiresIn: expires, passphrase, now: new Date() });
  await saveKey(store.root, key);
  return await keyInfo(store, key);
}

/** The public half, armoured. @throws E_KEY_NOT_FOUND, E_KEY_AMBIGUOUS */
export async function exportKey(
  context: Context,
  { key: text }: { key: string },
): Promise<KeyInfo & { readonly armoured: string }> {
  using store = openStore(context.storeRoot, { readOnly: true });
  const key = await find(store, text);
  return { ...(await keyInfo(store, key)), armoured: key.toPublic().armor() };
}

async function find({ root }: Store, text: string): Promise<PublicKey> {
  return selectKey(await readPublicKeys(root), text, { store: root, half: 'public' });
}

async function keyInfo(store: Store, key: PublicKey): Promise<KeyInfo> {
  const now = new Date();
  const { algorithm, curve, bits } = key.getAlgorithmInfo();
  return {
    ...(await signerOf(key, now)),
    ...(await keyStateOf(key, now)),
    algorithm:
      curve?.replace(/Legacy$/, '') ?? [algorithm.replace(/^rsa.*/i, 'rsa'), bits].filter(Boolean).join(' '),
    created: key.getCreationTime().getTime(),
    secret: hasSecretKey(store.root, key),
  };
}

function openWritable({ storeRoot }: Context): Store {
  const store = openStore(storeRoot, { create: true });
  if (!store.readOnly) return store;
  store[Symbol.dispose]();
  throw new CellarError('E_STORE_READ_ONLY', { details: { store: storeRoot } });
}
