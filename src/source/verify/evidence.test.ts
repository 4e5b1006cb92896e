import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { createMessage, PacketList, revokeKey, sign, type SignaturePacket } from 'openpgp';
import { sha256 } from '../../core/digest.ts';
import { CellarError, isCellarError } from '../../core/errors.ts';
import type { ErrorCode } from '../../core/error-registry.ts';
import {
  keyringOf,
  makeTestKey,
  signDetached,
  signInTheClear,
  signedAt,
  type TestKey,
} from '../../../test/support/openpgp.ts';
import { gatherEvidence, type Evidence, type EvidenceOptions, type Provable } from './evidence.ts';

const image = Buffer.from('the image');
const digest = sha256(image);
const other = sha256('another');
const directory = 'https://user:secret@host/images/1/';
/** As it may be recorded. */
const shown = 'https://***@host/images/1/';
const part = { name: 'rootfs.tar.xz', url: `${directory}rootfs.tar.xz?token=abc` };
const line = `${digest}  rootfs.tar.xz\n`;

let key: TestKey;
let stranger: TestKey;
before(async () => {
  key = await makeTestKey();
  stranger = await makeTestKey('Stranger');
});

type Files = Readonly<Record<string, Buffer | string | number>>;

/** Evidence for the part with these files beside it; a number is a status, what is not named is 404. */
async function gather(
  files: Files,
  options: Partial<EvidenceOptions> & { asked?: string[] } = {},
  of: Provable = part,
): Promise<Evidence> {
  return await gatherEvidence(of, {
    policy: 'strongest',
    keyring: keyringOf(key),
    now: new Date(signedAt.getTime() + 1000),
    signal: new AbortController().signal,
    async small(url) {
      assert.ok(url.startsWith(directory), url);
      const name = url.slice(directory.length);
      options.asked?.push(name);
      const found = files[name];
      if (typeof found === 'number')
        throw new CellarError('E_HTTP_STATUS', { details: { url, status: found, problem: '' } });
      return found === undefined ? undefined : Buffer.from(found);
    },
    ...options,
  });
}

const refused = (code: ErrorCode) => (error: unknown) => {
  assert.ok(isCellarError(error), String(error));
  assert.equal(error.code, code, error.message);
  assert.doesNotMatch(`${error.message} ${error.hint}`, /secret|token=abc|\{\w+\}/);
  return true;
};

function chunks(bytes: Buffer): AsyncIterable<Uint8Array> {
  return ReadableStream.from([bytes.subarray(0, 3), bytes.subarray(3)]);
}

describe('checksums', () => {
  test('beside the file, in its own list first, then in that of the directory', async () => {
    const own = await gather({ 'rootfs.tar.xz.sha256': `${digest}\n` });
    assert.deepEqual(own, {
      level: 'checksum',
      sha256: digest,
      checksums: `${shown}rootfs.tar.xz.sha256`,
    });
    const shared = await gather({ SHA256SUMS: `${other}  x\n${line}` });
    assert.deepEqual(shared, { level: 'checksum', sha256: digest, checksums: `${shown}SHA256SUMS` });
    await assert.rejects(gather({ SHA256SUMS: `${other}  x\n` }), refused('E_CHECKSUM_NAME'));
    await assert.rejects(gather({ SHA256SUMS: '<html>' }), refused('E_CHECKSUM_FORMAT'));
    await assert.rejects(
      gather({ 'rootfs.tar.xz.sha256': '<html>', SHA256SUMS: line }),
      refused('E_CHECKSUM_FORMAT'),
    );
  });

  test('two lists that disagree are refused; one that does not name the file does not contradict', async () => {
    await assert.rejects(
      gather({ 'rootfs.tar.xz.sha256': other, SHA256SUMS: line }),
      refused('E_CHECKSUM_CONFLICT'),
    );
    await assert.rejects(
      gather({ 'rootfs.tar.xz.sha256': digest, SHA256SUMS: '<html>' }),
      refused('E_CHECKSUM_FORMAT'),
    );
    const own = { 'rootfs.tar.xz.sha256': digest, SHA256SUMS: `${other}  x\n` };
    assert.equal((await gather(own)).sha256, digest);
  });

  test('nothing but 404 leads on', async () => {
    for (const status of [401, 403, 500])
      for (const name of ['rootfs.tar.xz.sha256', 'rootfs.tar.xz.asc'])
        await assert.rejects(gather({ [name]: status, SHA256SUMS: line }), refused('E_HTTP_STATUS'));
    await assert.rejects(
      gather({ 'rootfs.tar.xz.sha256': 403, SHA256SUMS: line }, { policy: 'checksum' }),
      refused('E_HTTP_STATUS'),
    );
    await assert.rejects(gather({ SHA256SUMS: line, 'SHA256SUMS.gpg': 403 }), refused('E_HTTP_STATUS'));
  });

  test('the digest that the user gives is enough, and nothing is asked', async () => {
    const asked: string[] = [];
    assert.deepEqual(await gather({}, { sha256: digest, asked }), { level: 'checksum', sha256: digest });
    assert.deepEqual(await gather({}, { sha256: digest, policy: 'checksum', asked }), {
      level: 'checksum',
      sha256: digest,
    });
    assert.deepEqual(asked, []);
    await assert.rejects(
      gather({}, { sha256: other }, { ...part, sha256: digest }),
      refused('E_CHECKSUM_CONFLICT'),
    );
  });

  test('the digest that the source gives counts, and has to agree with what lies beside', async () => {
    const known = { ...part, sha256: digest };
    assert.deepEqual(await gather({}, {}, known), { level: 'checksum', sha256: digest });
    assert.deepEqual(await gather({}, {}, { name: 'x', sha256: digest }), {
      level: 'checksum',
      sha256: digest,
    });
    assert.equal((await gather({ SHA256SUMS: `${other}  x\n` }, {}, known)).sha256, digest);
    await assert.rejects(
      gather({ SHA256SUMS: `${other}  rootfs.tar.xz\n` }, {}, known),
      refused('E_CHECKSUM_CONFLICT'),
    );
  });

  test('with --verify=checksum no signature is asked for; sums in the clear are read', async () => {
    const asked: string[] = [];
    const text = (await signInTheClear(stranger, line)).toString();
    const evidence = await gather({ SHA256SUMS: text }, { policy: 'checksum', asked });
    assert.deepEqual(evidence, { level: 'checksum', sha256: digest, checksums: `${shown}SHA256SUMS` });
    assert.deepEqual(asked, ['rootfs.tar.xz.sha256', 'SHA256SUMS']);
  });

  test('a name that is encoded in the URL may be listed either way', async () => {
    const spaced = { name: 'a%20b', url: `${directory}a%20b` };
    for (const name of ['a b', 'a%20b'])
      assert.equal((await gather({ SHA256SUMS: `${digest}  ${name}\n` }, {}, spaced)).sha256, digest);
  });
});

describe('nothing, or less than before', () => {
  test('nothing is no evidence, unless it is asked for', async () => {
    await assert.rejects(gather({}), refused('E_VERIFICATION_UNAVAILABLE'));
    await assert.rejects(gather({}, {}, { name: 'x' }), refused('E_VERIFICATION_UNAVAILABLE'));
    await assert.rejects(gather({}, { policy: 'checksum' }), refused('E_VERIFICATION_UNAVAILABLE'));
    await assert.rejects(gather({}, { atLeast: 'no' }), refused('E_VERIFICATION_UNAVAILABLE'));
    await assert.rejects(
      gather({ SHA256SUMS: line }, { policy: 'signature' }),
      refused('E_VERIFICATION_UNAVAILABLE'),
    );
    const asked: string[] = [];
    assert.deepEqual(await gather({ SHA256SUMS: line }, { policy: 'no', asked }), { level: 'no' });
    assert.deepEqual(asked, []);
    assert.deepEqual(await gather({}, { policy: 'no', sha256: digest }), {
      level: 'checksum',
      sha256: digest,
    });
  });

  test('never less than before without a word', async () => {
    const refusal = refused('E_VERIFICATION_DOWNGRADE');
    await assert.rejects(gather({ SHA256SUMS: line }, { atLeast: 'signature' }), refusal);
    await assert.rejects(gather({}, { atLeast: 'checksum' }), refusal);
    await assert.rejects(gather({}, { atLeast: 'signature', sha256: digest }), refusal);
    assert.equal((await gather({ SHA256SUMS: line }, { atLeast: 'checksum' })).level, 'checksum');
    const explicit = await gather({ SHA256SUMS: line }, { atLeast: 'signature', policy: 'checksum' });
    assert.equal(explicit.level, 'checksum');
    assert.equal((await gather({}, { atLeast: 'signature', policy: 'no' })).level, 'no');
  });
});

describe('signatures', () => {
  const signed = (fingerprint: string) => ({ fingerprint, user: 'Site <ops@example.org>' });

  test('over the sums, under every name, binary and armoured', async () => {
    for (const suffix of ['.gpg', '.asc', '.sign']) {
      const signature = await signDetached(key, Buffer.from(line), { armoured: suffix !== '.gpg' });
      assert.deepEqual(await gather({ SHA256SUMS: line, [`SHA256SUMS${suffix}`]: signature }), {
        level: 'signature',
        sha256: digest,
        checksums: `${shown}SHA256SUMS`,
        signer: signed(key.fingerprint),
      });
    }
  });

  test('over the list of the file, detached and within', async () => {
    const bare = `${digest}\n`;
    const detached = await signDetached(key, Buffer.from(bare), { armoured: true });
    const beside = { 'rootfs.tar.xz.sha256': bare, 'rootfs.tar.xz.sha256.asc': detached };
    assert.equal((await gather(beside, { policy: 'signature' })).level, 'signature');
    const within = { 'rootfs.tar.xz.sha256': await signInTheClear(key, line) };
    assert.equal((await gather(within, { policy: 'signature' })).sha256, digest);
  });

  test('in the clear, in the place of the sums or beside them', async () => {
    const clear = await signInTheClear(key, line);
    for (const name of ['SHA256SUMS', 'SHA256SUMS.asc']) {
      const evidence = await gather({ [name]: clear });
      assert.deepEqual(
        [evidence.level, evidence.sha256, evidence.checksums],
        ['signature', digest, `${shown}${name}`],
      );
    }
    const both = await gather({ SHA256SUMS: `${other}  rootfs.tar.xz\n`, 'SHA256SUMS.asc': clear });
    assert.equal(both.sha256, digest, 'what is signed counts');
  });

  test('what stands outside the signed text does not count', async () => {
    const clear = (await signInTheClear(key, `${other}  x\n`)).toString();
    for (const text of [`${line}${clear}`, `${clear}${line}`])
      await assert.rejects(gather({ SHA256SUMS: text }, { policy: 'signature' }), (error) =>
        isCellarError(error),
      );
  });

  test('an unsigned list of the file and signed sums: the signature counts, if both say the same', async () => {
    const signature = await signDetached(key, Buffer.from(line));
    const files = { SHA256SUMS: line, 'SHA256SUMS.gpg': signature };
    assert.equal((await gather({ ...files, 'rootfs.tar.xz.sha256': digest })).level, 'signature');
    await assert.rejects(gather({ ...files, 'rootfs.tar.xz.sha256': other }), refused('E_CHECKSUM_CONFLICT'));
  });

  test('over the file itself: the level is reached once its bytes have been seen', async () => {
    for (const suffix of ['.asc', '.gpg', '.sig']) {
      const signature = await signDetached(key, image, { armoured: suffix === '.asc' });
      const evidence = await gather({ [`rootfs.tar.xz${suffix}`]: signature });
      assert.equal(evidence.level, 'signature');
      assert.deepEqual(evidence.signer, signed(key.fingerprint));
      assert.deepEqual(await evidence.verifyFile!(chunks(image)), signed(key.fingerprint));
      await assert.rejects(
        evidence.verifyFile!(chunks(Buffer.from('the image!'))),
        refused('E_SIGNATURE_BAD'),
      );
    }
  });

  test('over the file itself, of a text: line ends could be others', async () => {
    const text = Buffer.from('one\ntwo\n');
    const message = await createMessage({ text: text.toString() });
    const request = { message, signingKeys: key.secret, detached: true, date: signedAt } as const;
    const ofText = Buffer.from(await sign(request));
    await assert.rejects(gather({ 'rootfs.tar.xz.asc': ofText }), refused('E_SIGNATURE_WEAK'));
    const both = Buffer.concat([ofText, await signDetached(key, text, { armoured: true })]);
    const { verifyFile } = await gather({ 'rootfs.tar.xz.asc': both });
    await verifyFile!(chunks(text));
    await assert.rejects(verifyFile!(chunks(Buffer.from('one\r\ntwo\r\n'))), refused('E_SIGNATURE_BAD'));
  });

  test('beginnings without an end are read once', async () => {
    const armour = (kind: string): string => `-----BEGIN PGP ${kind}-----\n`.repeat((8 << 20) / 32);
    const files = { 'rootfs.tar.xz.asc': armour('SIGNATURE') };
    await assert.rejects(gather(files), refused('E_SIGNATURE_FORMAT'));
    const sums = { SHA256SUMS: armour('SIGNED MESSAGE') };
    await assert.rejects(gather(sums, { policy: 'checksum' }), refused('E_CHECKSUM_FORMAT'));
  });

  test('over the file itself, with a digest from sums or from the user', async () => {
    const files = { 'rootfs.tar.xz.asc': await signDetached(key, image, { armoured: true }) };
    assert.equal((await gather({ ...files, SHA256SUMS: line })).sha256, digest);
    assert.equal((await gather({ ...files, SHA256SUMS: `${other}  x\n` })).sha256, undefined);
    const demanded = await gather(files, { policy: 'signature', sha256: digest });
    assert.deepEqual([demanded.level, demanded.sha256], ['signature', digest]);
    assert.equal((await gather(files, { atLeast: 'signature', sha256: digest })).level, 'signature');
    await assert.rejects(
      gather({ ...files, SHA256SUMS: line }, { policy: 'signature', sha256: other }),
      refused('E_CHECKSUM_CONFLICT'),
    );
  });

  test('the stream that breaks off is not called tampered with', async () => {
    const evidence = await gather({ 'rootfs.tar.xz.gpg': await signDetached(key, image) });
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield image.subarray(0, 3);
      throw new CellarError('E_HTTP_TIMEOUT');
    };
    await assert.rejects(evidence.verifyFile!(broken()), (error) => isCellarError(error, 'E_HTTP_TIMEOUT'));
  });

  test('a signature that is there has to hold, also where a checksum would do', async () => {
    const sums = { SHA256SUMS: line };
    const stale = await signDetached(key, Buffer.from(`${other}  rootfs.tar.xz\n`));
    await assert.rejects(gather({ ...sums, 'SHA256SUMS.gpg': stale }), refused('E_SIGNATURE_BAD'));
    const strange = await signDetached(stranger, Buffer.from(line));
    await assert.rejects(gather({ ...sums, 'SHA256SUMS.gpg': strange }), (error) => {
      assert.match((error as Error).message, new RegExp(stranger.fingerprint));
      assert.match((error as CellarError).hint!, /cellar keys add/);
      return refused('E_SIGNATURE_KEY_UNKNOWN')(error);
    });
    await assert.rejects(gather({ ...sums, 'rootfs.tar.xz.asc': '<html>' }), refused('E_SIGNATURE_FORMAT'));
    await assert.rejects(gather({ ...sums, 'SHA256SUMS.gpg': '<html>' }), refused('E_SIGNATURE_FORMAT'));
    const signature = await signDetached(key, Buffer.from(line));
    const unlisted = { SHA256SUMS: `${other}  x\n` };
    const overUnlisted = await signDetached(key, Buffer.from(unlisted.SHA256SUMS));
    await assert.rejects(gather({ ...unlisted, 'SHA256SUMS.gpg': overUnlisted }), refused('E_CHECKSUM_NAME'));
    await assert.rejects(
      gather({ ...sums, 'SHA256SUMS.gpg': signature }, { now: new Date('2025-01-01') }),
      refused('E_SIGNATURE_EXPIRED'),
    );
  });

  test('a key that expired or was revoked proves nothing any more, and what vouches for a key nothing of a file', async () => {
    const old = await makeTestKey('Old', { created: new Date('2026-02-01T00:00:00Z'), days: 40 });
    const files = { SHA256SUMS: line, 'SHA256SUMS.gpg': await signDetached(old, Buffer.from(line)) };
    assert.equal((await gather(files, { keyring: keyringOf(old) })).level, 'signature');
    const later = { keyring: keyringOf(old), now: new Date('2026-04-01T00:00:00Z') };
    await assert.rejects(gather(files, later), refused('E_SIGNATURE_KEY_EXPIRED'));
    const { privateKey: secret } = await revokeKey({ key: key.secret, format: 'object' });
    const signature = await signDetached(key, Buffer.from(line));
    await assert.rejects(
      gather(
        { SHA256SUMS: line, 'SHA256SUMS.gpg': signature },
        { keyring: keyringOf({ ...key, secret }), now: new Date(Date.now() + 1000) },
      ),
      refused('E_SIGNATURE_KEY_REVOKED'),
    );
    const packets = new PacketList<SignaturePacket>();
    packets.push(key.secret.users[0]!.selfCertifications[0]!);
    await assert.rejects(
      gather({ 'rootfs.tar.xz.gpg': Buffer.from(packets.write()) }),
      refused('E_SIGNATURE_FORMAT'),
    );
  });

  test('another kind of signature under .sig is none of ours', async () => {
    for (const text of [
      'untrusted comment: signature\nRWQ=\n',
      `${'MEUCIQ'.repeat(16)}==\n`,
      '{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}',
    ])
      assert.equal((await gather({ 'rootfs.tar.xz.sig': text, SHA256SUMS: line })).level, 'checksum');
    await assert.rejects(
      gather({ 'rootfs.tar.xz.sig': '<html></html>', SHA256SUMS: line }),
      refused('E_SIGNATURE_FORMAT'),
    );
    await assert.rejects(
      gather({ 'rootfs.tar.xz.asc': '{}', SHA256SUMS: line }),
      refused('E_SIGNATURE_FORMAT'),
    );
  });
});
