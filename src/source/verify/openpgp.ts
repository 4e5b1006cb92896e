/**
 * OpenPGP signatures, detached or in the clear, held against a keyring. Which key made a signature and whether that
 * key counts is settled before the signed bytes are here, so that an image nobody may trust is not transferred at all;
 * the bytes themselves are hashed as they pass and never held.
 *
 * Of several signatures the first by a key that counts has to be good. A key counts when it is in the keyring, valid
 * now, and meant for signing; one that was revoked later, or has expired since, proves nothing any more.
 */
import type { PublicKey, SignaturePacket, Subkey } from 'openpgp';
import { CellarError } from '../../core/errors.ts';
import type { Keyring } from './keyring.ts';

export interface Signer {
  /** Of the primary key: 40 (or 64) upper-case hex digits. */
  readonly fingerprint: string;
  /** Its primary user ID, `Name <address>`; empty when it has none. */
  readonly user: string;
}

export interface SignatureContext {
  readonly keyring: Keyring;
  readonly now: Date;
  /** What is signed, and what holds the signature: URLs or paths, for messages. */
  readonly source: string;
  readonly signature: string;
  /** Every byte counts: a signature of a text leaves open how its lines end. */
  readonly isBinary?: boolean;
}

export interface OpenedSignature {
  readonly signer: Signer;
  /** @throws E_SIGNATURE_BAD and whatever reading `chunks` does */
  verify(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Signer>;
}

/**
 * A detached signature, binary or armoured, by a key that counts.
 * @throws E_SIGNATURE_FORMAT, E_SIGNATURE_KEY_UNKNOWN, E_SIGNATURE_KEY_EXPIRED, E_SIGNATURE_KEY_REVOKED,
 *   E_SIGNATURE_EXPIRED, E_SIGNATURE_WEAK, E_KEYRING_INVALID
 */
export async function openSignature(bytes: Uint8Array, context: SignatureContext): Promise<OpenedSignature> {
  return await choose(await parseDetached(bytes, context), context);
}

/** The text that is signed, and by whom. Only this text is; not what surrounds it. @throws as `openSignature`, E_SIGNATURE_BAD */
export async function verifyClearSigned(
  bytes: Uint8Array,
  context: SignatureContext,
): Promise<{ text: string; signer: Signer }> {
  const { readCleartextMessage } = await import('openpgp');
  const message = await readCleartextMessage({ cleartextMessage: decode(bytes) }).catch((error: unknown) => {
    throw malformed(error, context);
  });
  const results = await message.verify([], context.now);
  const signatures = await Promise.all(results.map(({ signature }) => signature));
  const opened = await choose(
    signatures.flatMap(({ packets }) => [...packets]),
    context,
  );
  const text = message.getText();
  const signer = await opened.verify([Buffer.from(text.replace(/\n/g, '\r\n'))]);
  return { text, signer };
}

export function isClearSigned(bytes: Uint8Array): boolean {
  return /^\uFEFF?\s*-----BEGIN PGP SIGNED MESSAGE-----/.test(decode(bytes.subarray(0, 4096)));
}

/** The text inside the armour, unverified: for who asked for checksums only. */
export function clearText(bytes: Uint8Array): string {
  const text = decode(bytes).replace(/\r\n/g, '\n');
  const [, body] =
    /^\uFEFF?\s*-----BEGIN PGP SIGNED MESSAGE-----\n(?:[^\n]+\n)*\n([\s\S]*?)\n?-----BEGIN PGP SIGNATURE-----/.exec(
      text,
    ) ?? [];
  return (body ?? '').replace(/^- /gm, '');
}

async function parseDetached(bytes: Uint8Array, context: SignatureContext): Promise<SignaturePacket[]> {
  const { enums, readSignature } = await import('openpgp');
  const blocks = armoured(decode(bytes));
  try {
    const signatures =
      blocks.length === 0
        ? [await readSignature({ binarySignature: bytes })]
        : await Promise.all(blocks.map((block) => readSignature({ armoredSignature: block })));
    return signatures.flatMap(({ packets }) => [...packets.filterByTag(enums.packet.signature)]);
  } catch (error) {
    throw malformed(error, context);
  }
}

/** From each beginning to the next end. Looked for one after the other: the text may be made to have many of one only. */
function armoured(text: string): string[] {
  const [first, last] = ['-----BEGIN PGP SIGNATURE-----', '-----END PGP SIGNATURE-----'];
  const blocks: string[] = [];
  for (let at = 0; ;) {
    const begin = text.indexOf(first, at);
    const end = text.indexOf(last, begin);
    if (begin === -1 || end === -1) return blocks;
    at = end + last.length;
    blocks.push(text.slice(begin, at));
  }
}

async function choose(
  packets: readonly SignaturePacket[],
  context: SignatureContext,
): Promise<OpenedSignature> {
  const { enums } = await import('openpgp');
  const ofData = packets.filter(
    ({ signatureType }) => signatureType === enums.signature.binary || signatureType === enums.signature.text,
  );
  if (ofData.length === 0) throw malformed('there is no signature of a file in it', context);
  const refused: CellarError[] = [];
  for (const packet of ofData) {
    try {
      if (context.isBinary === true && packet.signatureType === enums.signature.text)
        throw weak('it is that of a text, which leaves open how lines end', context.signature);
      return await openPacket(packet, context);
    } catch (error) {
      if (!(error instanceof CellarError) || !error.code.startsWith('E_SIGNATURE_')) throw error;
      refused.push(error);
    }
  }
  // What is wrong with a key that we know says more than that another is not known.
  throw refused.find(({ code }) => code !== 'E_SIGNATURE_KEY_UNKNOWN') ?? refused[0]!;
}

async function openPacket(packet: SignaturePacket, context: SignatureContext): Promise<OpenedSignature> {
  const { keyring, now, signature, source } = context;
  const found = findKey(await keyring.keys(), packet);
  if (found === undefined)
    throw new CellarError('E_SIGNATURE_KEY_UNKNOWN', { details: { signature, key: issuerOf(packet) } });
  await checkPacket(packet, context);
  // Clocks differ a little: what was signed a moment from now is judged as of then.
  const at = new Date(Math.max(now.getTime(), packet.created!.getTime()));
  await checkKey(found, { signature, now: at });
  const signer = await signerOf(found.key, at);
  const { config } = await import('openpgp');
  return {
    signer,
    async verify(chunks) {
      let broken: unknown;
      async function* watched(): AsyncGenerator<Uint8Array> {
        try {
          yield* chunks;
        } catch (error) {
          broken = error ?? new Error('the stream broke off');
          throw error;
        }
      }
      // The shape of the library's literal data, without the copies it keeps of a stream.
      const data = { text: null, getBytes: () => ReadableStream.from(watched()) };
      try {
        await packet.verify(found.by.keyPacket, packet.signatureType!, data, at, true, config);
        return signer;
      } catch (error) {
        if (broken !== undefined) throw broken;
        throw new CellarError('E_SIGNATURE_BAD', {
          details: { source, signature, problem: `${messageOf(error)} (key ${signer.fingerprint})` },
          cause: error,
        });
      }
    },
  };
}

interface Found {
  /** The whole key, and the part of it that signed. */
  readonly key: PublicKey;
  readonly by: PublicKey | Subkey;
}

function findKey(keys: readonly PublicKey[], packet: SignaturePacket): Found | undefined {
  const fingerprint =
    packet.issuerFingerprint === null ? undefined : Buffer.from(packet.issuerFingerprint).toString('hex');
  for (const key of keys) {
    const by = key
      .getKeys(packet.issuerKeyID)
      .find((each) => fingerprint === undefined || each.getFingerprint() === fingerprint);
    if (by !== undefined) return { key, by: by as PublicKey | Subkey };
  }
  return undefined;
}

const toleranceMs = 5 * 60_000;

async function checkPacket(packet: SignaturePacket, { now, signature }: SignatureContext): Promise<void> {
  const { enums } = await import('openpgp');
  const strong: readonly (number | null)[] = [
    ...[enums.hash.sha256, enums.hash.sha384, enums.hash.sha512, enums.hash.sha224],
    ...[enums.hash.sha3_256, enums.hash.sha3_512],
  ];
  if (!strong.includes(packet.hashAlgorithm))
    throw weak(`it rests on ${hashName(enums.hash, packet.hashAlgorithm)}`, signature);
  if (packet.created === null) throw malformed('it does not say when it was made', { signature });
  const expires = packet.getExpirationTime();
  const problem =
    packet.created.getTime() > now.getTime() + toleranceMs
      ? `it is of ${day(packet.created)}, which is yet to come`
      : expires !== null && expires.valueOf() <= now.getTime()
        ? `it expired on ${day(expires)}`
        : undefined;
  if (problem !== undefined)
    throw new CellarError('E_SIGNATURE_EXPIRED', { details: { signature, problem } });
}

async function checkKey(
  { key, by }: Found,
  { now, signature }: Pick<SignatureContext, 'now' | 'signature'>,
): Promise<void> {
  const name = by.getFingerprint().toUpperCase();
  if (await isRevoked({ key, by }, now))
    throw new CellarError('E_SIGNATURE_KEY_REVOKED', { details: { signature, key: name } });
  for (const expires of [
    await key.getExpirationTime(),
    ...('bindingSignatures' in by ? [await by.getExpirationTime(now)] : []),
  ]) {
    if (expires !== null && expires.valueOf() <= now.getTime())
      throw new CellarError('E_SIGNATURE_KEY_EXPIRED', {
        details: { signature, key: name, expired: day(expires) },
      });
  }
  try {
    await key.getSigningKey(by.getKeyID(), now);
  } catch (error) {
    throw weak(`the key ${name} does not serve: ${messageOf(error)}`, signature);
  }
}

export interface KeyState {
  readonly state: 'valid' | 'expired' | 'revoked' | 'unusable';
  /** Milliseconds since the epoch; absent for a key that never expires. */
  readonly expires?: number;
}

/** Whether signatures by this key, or by one of its subkeys, count. */
export async function keyStateOf(key: PublicKey, now: Date): Promise<KeyState> {
  const expiry = (await key.getExpirationTime())?.valueOf();
  const expires = expiry === undefined || expiry === Infinity ? {} : { expires: expiry };
  if (await isRevoked({ key, by: key }, now)) return { state: 'revoked', ...expires };
  if (expiry !== undefined && expiry <= now.getTime()) return { state: 'expired', ...expires };
  const usable = await key.getSigningKey(undefined, now).catch(() => undefined);
  return { state: usable === undefined ? 'unusable' : 'valid', ...expires };
}

async function isRevoked({ key, by }: Found, now: Date): Promise<boolean> {
  if (await key.isRevoked(undefined, undefined, now)) return true;
  if (!('bindingSignatures' in by)) return false;
  const [binding] = by.bindingSignatures;
  return binding !== undefined && (await by.isRevoked(binding, key.keyPacket, now));
}

export async function signerOf(key: PublicKey, now: Date): Promise<Signer> {
  const primary = await key.getPrimaryUser(now).catch(() => undefined);
  return {
    fingerprint: key.getFingerprint().toUpperCase(),
    user: primary?.user.userID?.userID ?? key.getUserIDs()[0] ?? '',
  };
}

function issuerOf({ issuerFingerprint, issuerKeyID }: SignaturePacket): string {
  const id =
    issuerFingerprint === null ? issuerKeyID.toHex() : Buffer.from(issuerFingerprint).toString('hex');
  return id.toUpperCase();
}

function hashName(hashes: object, wanted: number | null): string {
  const [name] = Object.entries(hashes).find(([, value]) => value === wanted) ?? [`hash ${wanted}`];
  return name.toUpperCase();
}

function weak(problem: string, signature: string): CellarError {
  return new CellarError('E_SIGNATURE_WEAK', { details: { signature, problem } });
}

function malformed(error: unknown, { signature }: Pick<SignatureContext, 'signature'>): CellarError {
  return new CellarError('E_SIGNATURE_FORMAT', {
    details: { signature, problem: messageOf(error) },
    cause: error,
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function day(date: Date | number): string {
  return new Date(date.valueOf()).toISOString().slice(0, 10);
}

/** Armour is ASCII; the texts in it are UTF-8. */
function decode(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}
