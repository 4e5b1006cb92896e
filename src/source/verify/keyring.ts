/**
 * The public keys that signatures are held against. Files are read when the keyring is loaded, so that a path that is
 * wrong shows at once; they are parsed, and the library loaded, only when there is a signature to look at.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { PublicKey } from 'openpgp';
import { CellarError } from '../../core/errors.ts';
import { inStore } from '../../store/layout.ts';
import { reasonOf } from '../../sys/errno.ts';

export interface Keyring {
  /** Parsed on first use. @throws E_KEYRING_INVALID */
  keys(): Promise<readonly PublicKey[]>;
}

/** Where systemd looks for the keys of images; the first that exists replaces the others. */
const systemKeyrings = ['/etc/systemd/import-pubring.pgp', '/etc/systemd/import-pubring.gpg'];

export interface KeyringPlaces {
  /** Root of the store. */
  readonly store: string;
  /** Files to use instead of the store's keys and systemd's. */
  readonly files: readonly string[];
  readonly system?: readonly string[];
}

/** @throws E_KEYRING_INVALID for a file that cannot be read */
export async function loadKeyring({
  store,
  files,
  system = systemKeyrings,
}: KeyringPlaces): Promise<Keyring> {
  const paths =
    files.length > 0 ? files : [...storeKeyFiles(store), ...system.filter(existsSync).slice(0, 1)];
  const read = paths.map((path) => ({ path, bytes: readKeyFile(path) }));
  let parsed: Promise<readonly PublicKey[]> | undefined;
  return {
    keys: () =>
      (parsed ??= Promise.all(read.map(({ path, bytes }) => parseKeys(bytes, path))).then((all) =>
        mergeKeys(all.flat().map((key) => key.toPublic())),
      )),
  };
}

/** Copies of one key become one: what any of them says of revocation and expiry counts. */
export async function mergeKeys(keys: readonly PublicKey[]): Promise<PublicKey[]> {
  const merged = new Map<string, PublicKey>();
  for (const key of keys) {
    const other = merged.get(key.getFingerprint());
    merged.set(key.getFingerprint(), other === undefined ? key : await other.update(key));
  }
  return [...merged.values()];
}

/** Paths of the public keys that `cellar keys` holds. */
export function storeKeyFiles(store: string): string[] {
  return keyFilesIn(inStore(store, 'keys'));
}

/** Sorted; names with a dot before them are files on their way. */
export function keyFilesIn(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => name.endsWith('.pgp') && !name.startsWith('.'))
    .sort()
    .map((name) => `${directory}/${name}`);
}

/**
 * Public or secret keys, binary or armoured, any number of each.
 * @throws E_KEYRING_INVALID
 */
export async function parseKeys(bytes: Buffer, path: string): Promise<PublicKey[]> {
  if (bytes.subarray(8, 12).toString('latin1') === 'KBXf')
    throw invalid(path, 'it is a keybox of GnuPG, which only GnuPG reads');
  const { readKeys } = await import('openpgp');
  const blocks = bytes
    .toString()
    .match(/-----BEGIN PGP (PUBLIC|PRIVATE) KEY BLOCK-----[\s\S]*?-----END PGP \1 KEY BLOCK-----/g);
  try {
    const keys =
      blocks === null
        ? await readKeys({ binaryKeys: bytes })
        : (await Promise.all(blocks.map((block) => readKeys({ armoredKeys: block })))).flat();
    if (keys.length > 0) return keys;
  } catch (error) {
    throw invalid(path, 'there is no key in it that can be read', error);
  }
  throw invalid(path, 'there is no key in it');
}

export function readKeyFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CellarError('E_KEYRING_INVALID', {
      details: { path, problem: `it cannot be read: ${reasonOf(error)}` },
      hint: 'name a file with OpenPGP keys, binary or armoured',
      cause: error,
    });
  }
}

function invalid(path: string, problem: string, cause?: unknown): CellarError {
  return new CellarError('E_KEYRING_INVALID', { details: { path, problem }, cause });
}
