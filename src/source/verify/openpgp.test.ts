/** Which keys count, and which signatures, by keys that the library makes: GnuPG's are in test/peers. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  config,
  createMessage,
  enums,
  generateKey,
  PacketList,
  readSignature,
  revokeKey,
  sign,
  type PrivateKey,
  type PublicKey,
  type SecretKeyPacket,
  type SignaturePacket,
  type Subkey,
} from 'openpgp';
import {
  keyringOf,
  makeTestKey,
  signDetached,
  signInTheClear,
  signedAt,
  type TestKey,
} from '../../../test/support/openpgp.ts';
import type { ErrorCode } from '../../core/error-registry.ts';
import { CellarError, isCellarError } from '../../core/errors.ts';
import { keyStateOf, openSignature, verifyClearSigned, type OpenedSignature } from './openpgp.ts';

const bytes = Buffer.from('content');
const created = new Date('2026-01-01T00:00:00Z');
const minute = 60_000;

let key: TestKey;
before(async () => {
  key = await makeTestKey();
});

async function open(
  signature: Uint8Array,
  options: { readonly keys?: readonly PublicKey[]; readonly now?: Date } = {},
): Promise<OpenedSignature> {
  const { keys = [key.secret.toPublic()], now = signedAt } = options;
  return await openSignature(signature, {
    ...{ keyring: { keys: async () => keys }, now, isBinary: true },
    ...{ source: 'file', signature: 'file.sig' },
  });
}

const refused =
  (code: ErrorCode, message = /./) =>
  (error: unknown) => {
    assert.ok(isCellarError(error), String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };

/** The same signature by another digest, as it says: whoever holds no key may change that. */
async function underDigest(algorithm: number): Promise<Buffer> {
  const packet = await packetOf(await signDetached(key, bytes));
  packet.signatureData![3] = algorithm;
  return written(packet);
}

async function packetOf(signature: Uint8Array): Promise<SignaturePacket> {
  const { packets } = await readSignature({ binarySignature: signature });
  return packets[0]!;
}

function written(...packets: SignaturePacket[]): Buffer {
  const list = new PacketList<SignaturePacket>();
  list.push(...packets);
  return Buffer.from(list.write());
}

function replaced(signature: Buffer, what: string, by: string): Buffer {
  const text = signature.toString('hex');
  assert.ok(text.includes(what));
  return Buffer.from(text.replaceAll(what, by), 'hex');
}

test('a digest that can be forged carries no signature, whatever it says', async () => {
  for (const [name, weak] of [
    ['MD5', enums.hash.md5],
    ['SHA1', enums.hash.sha1],
    ['RIPEMD', enums.hash.ripemd],
    ['HASH 99', 99],
  ] as const)
    await assert.rejects(
      open(await underDigest(weak)),
      refused('E_SIGNATURE_WEAK', new RegExp(`rests on ${name}`)),
    );
  // Those that are strong are told by their mathematics.
  for (const strong of [enums.hash.sha384, enums.hash.sha224, enums.hash.sha3_256, enums.hash.sha3_512]) {
    const { verify } = await open(await underDigest(strong));
    await assert.rejects(verify([bytes]), refused('E_SIGNATURE_BAD'));
  }
  const { verify } = await open(await signDetached(key, bytes));
  assert.equal((await verify([bytes])).fingerprint, key.fingerprint);
});

test('clocks may differ by five minutes, and a signature of a time to come is none', async () => {
  const signature = await signDetached(key, bytes);
  const at = (ms: number): Date => new Date(signedAt.getTime() + ms);
  const { verify } = await open(signature, { now: at(-5 * minute) });
  await verify([bytes]);
  await assert.rejects(
    open(signature, { now: at(-5 * minute - 1000) }),
    refused('E_SIGNATURE_EXPIRED', /2026-03-01, which is yet to come/),
  );
});

test('a signature that was made to end has ended', async () => {
  const packet = await packetOf(await signDetached(key, bytes));
  packet.signatureNeverExpires = false;
  packet.signatureExpirationTime = 60;
  const data = { text: null, getBytes: () => bytes, write: () => bytes };
  // Its declaration leaves out the last.
  const options = { ...config, nonDeterministicSignaturesViaNotation: false };
  const sealing: readonly unknown[] = [key.secret.keyPacket, data, signedAt, true, options];
  await Reflect.apply(packet.sign as (...all: unknown[]) => Promise<void>, packet, sealing);
  const signature = written(packet);
  await open(signature, { now: new Date(signedAt.getTime() + 59_000) });
  await assert.rejects(
    open(signature, { now: new Date(signedAt.getTime() + 60_000) }),
    refused('E_SIGNATURE_EXPIRED', /expired on 2026-03-01/),
  );
});

test('of several signatures the first by a key that counts has to be good', async () => {
  const stranger = await makeTestKey('Stranger');
  const by = async (one: TestKey, over = bytes) => await packetOf(await signDetached(one, over));
  const bad = await by(key, Buffer.from('other'));
  const [good, strange] = [await by(key), await by(stranger)];
  const { verify, signer } = await open(written(strange, good));
  assert.equal(signer.fingerprint, key.fingerprint);
  await verify([bytes]);
  await assert.rejects((await open(written(bad, good))).verify([bytes]), refused('E_SIGNATURE_BAD'));
  await assert.rejects(open(written(strange)), refused('E_SIGNATURE_KEY_UNKNOWN'));
  good.signatureData![3] = enums.hash.sha1;
  // What is wrong with a key that is known says more.
  await assert.rejects(open(written(strange, good)), refused('E_SIGNATURE_WEAK'));
});

test('a key of the same short name does not stand in for the one that is named in full', async () => {
  const name = key.fingerprint.toLowerCase();
  const other = `${name.startsWith('0') ? '1' : '0'}${name.slice(1)}`;
  await assert.rejects(
    open(replaced(await signDetached(key, bytes), name, other)),
    refused('E_SIGNATURE_KEY_UNKNOWN', new RegExp(other, 'i')),
  );
});

test('a signature that names its key by the short name only is by the key of that name', async () => {
  const name = key.fingerprint.toLowerCase();
  // A kind of its own, which says nothing to anybody, in the place of the fingerprint.
  const short = replaced(await signDetached(key, bytes), `162104${name}`, `166404${name}`);
  const { signer, verify } = await open(short);
  assert.equal(signer.fingerprint, key.fingerprint);
  await assert.rejects(verify([bytes]), refused('E_SIGNATURE_BAD'));
  const stranger = await makeTestKey('Stranger');
  await assert.rejects(
    open(short, { keys: [stranger.secret.toPublic()] }),
    refused('E_SIGNATURE_KEY_UNKNOWN', new RegExp(`key ${key.fingerprint.slice(-16)},`)),
  );
});

test('a keyring that cannot be read is no signature that is refused', async () => {
  const broken = new CellarError('E_KEYRING_INVALID', { details: { path: 'ring', problem: 'it is empty' } });
  const keyring = { keys: async () => await Promise.reject<readonly PublicKey[]>(broken) };
  const context = { keyring, now: signedAt, source: 'file', signature: 'file.sig' };
  await assert.rejects(openSignature(await signDetached(key, bytes), context), broken);
});

test('what only begins as a signed text is told as such', async () => {
  const context = { keyring: keyringOf(key), now: signedAt, source: 'sums', signature: 'sums' };
  const [head = ''] = (await signInTheClear(key, 'text')).toString().split('-----BEGIN PGP SIGNATURE');
  for (const text of [head, ''])
    await assert.rejects(verifyClearSigned(Buffer.from(text), context), refused('E_SIGNATURE_FORMAT'));
});

interface WithSubkey {
  readonly secret: PrivateKey;
  readonly subkey: Subkey;
}

async function withSubkey(days = 0): Promise<WithSubkey> {
  const { privateKey: secret } = await generateKey({
    ...{ type: 'ecc', userIDs: [{ name: 'Main' }], date: created, format: 'object' },
    subkeys: [{ sign: true, keyExpirationTime: days * 86_400 }],
  } as const);
  return { secret, subkey: secret.subkeys[0]! };
}

async function bySubkey({ secret, subkey }: WithSubkey): Promise<Buffer> {
  const request = { detached: true, format: 'binary', date: signedAt } as const;
  const message = await createMessage({ binary: bytes });
  return Buffer.from(
    await sign({ ...request, message, signingKeys: secret, signingKeyIDs: subkey.getKeyID() }),
  );
}

test('a subkey signs for its key until it ends by itself', async () => {
  const made = await withSubkey(80);
  const signature = await bySubkey(made);
  const keys = [made.secret.toPublic()];
  const { signer, verify } = await open(signature, { keys });
  assert.equal(signer.fingerprint, made.secret.getFingerprint().toUpperCase());
  await verify([bytes]);
  const name = made.subkey.getFingerprint().toUpperCase();
  await assert.rejects(
    open(signature, { keys, now: new Date(created.getTime() + 80 * 86_400_000) }),
    refused('E_SIGNATURE_KEY_EXPIRED', new RegExp(name)),
  );
  assert.equal((await keyStateOf(keys[0]!, new Date('2027-01-01'))).state, 'valid');
});

test('a subkey that is revoked proves nothing any more, while its key does', async () => {
  const made = await withSubkey();
  const signature = await bySubkey(made);
  const of = made.secret.keyPacket as SecretKeyPacket;
  made.secret.subkeys[0] = await made.subkey.revoke(of, undefined, new Date('2026-04-01'));
  const keys = [made.secret.toPublic()];
  const now = new Date('2026-05-01');
  const name = new RegExp(made.subkey.getFingerprint().toUpperCase());
  await assert.rejects(open(signature, { keys, now }), refused('E_SIGNATURE_KEY_REVOKED', name));
  const own = await signDetached({ secret: made.secret, fingerprint: '' }, bytes);
  await (await open(own, { keys, now })).verify([bytes]);
});

test('a key that may only encrypt signs nothing', async () => {
  const { privateKey: secret } = await generateKey({
    ...{ type: 'ecc', userIDs: [{ name: 'Main' }], date: created, format: 'object' },
  } as const);
  const [main, encrypting] = [secret.getFingerprint(), secret.subkeys[0]!.getFingerprint()];
  const signature = await signDetached({ secret, fingerprint: main }, bytes);
  const said = replaced(signature, main, encrypting);
  await assert.rejects(
    open(said, { keys: [secret.toPublic()] }),
    refused('E_SIGNATURE_WEAK', /does not serve/),
  );
});

test('what state a key is in', async () => {
  const short = await makeTestKey('Short', { days: 30 });
  const expires = created.getTime() + 30 * 86_400_000;
  const state = async (now: number) => await keyStateOf(short.secret.toPublic(), new Date(now));
  assert.deepEqual(await state(expires - 1000), { state: 'valid', expires });
  assert.deepEqual(await state(expires), { state: 'expired', expires });
  assert.deepEqual(await keyStateOf(key.secret.toPublic(), signedAt), { state: 'valid' });
  const { privateKey } = await revokeKey({ key: key.secret, format: 'object' });
  const later = new Date(Date.now() + 1000);
  assert.deepEqual(await keyStateOf(privateKey.toPublic(), later), { state: 'revoked' });
  const before = await keyStateOf(key.secret.toPublic(), new Date('2025-01-01'));
  assert.equal(before.state, 'unusable');
});
