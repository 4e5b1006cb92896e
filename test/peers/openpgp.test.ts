/** What GnuPG signs is accepted or refused as it should be, each refusal with its own code. */
import assert from 'node:assert/strict';
import { createReadStream, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { isCellarError } from '../../src/core/errors.ts';
import type { ErrorCode } from '../../src/core/error-registry.ts';
import { loadKeyring, type Keyring } from '../../src/source/verify/keyring.ts';
import { openSignature, verifyClearSigned, type Signer } from '../../src/source/verify/openpgp.ts';
import { gnupg } from '../support/gnupg.ts';
import { needs, portion, quote, sh } from '../support/run.ts';
import { makeScratch } from '../support/scratch.ts';

async function verifyFile(
  file: string,
  signature: string,
  keyring: Keyring,
  at = new Date(),
): Promise<Signer> {
  const opened = await openSignature(readFileSync(signature), { keyring, now: at, source: file, signature });
  return await opened.verify(createReadStream(file));
}

const refused =
  (code: ErrorCode, pattern = /./) =>
  (error: unknown) => {
    assert.ok(isCellarError(error), String(error));
    assert.equal(error.code, code, error.message);
    assert.equal(error.exitCode, 5);
    assert.match(error.message, pattern);
    assert.ok(error.hint !== undefined && !/\{\w+\}/.test(`${error.message}${error.hint}`));
    return true;
  };

describe('signatures by GnuPG', { skip: needs({ programs: ['gpg', 'gpgconf', 'gpgv'] }) }, () => {
  for (const algorithm of ['ed25519', 'rsa2048', 'nistp256'])
    test(`${algorithm}: detached, armoured and in the clear; a byte of either changed`, async () => {
      await using gpg = gnupg();
      const file = join(gpg.home, 'SHA256SUMS');
      writeFileSync(file, `${'a'.repeat(64)}  x.tar\n- dashed \r\ntrailing  \n`);
      const key = await gpg.key('Site <ops@example.org>', algorithm);
      const keyring = await gpg.ring(key);
      const signer = { fingerprint: key, user: 'Site <ops@example.org>' };
      await gpg.run(`--detach-sign --output ${file}.gpg ${file}`);
      await gpg.run(`--detach-sign --armor --output ${file}.asc ${file}`);
      await gpg.run(`--detach-sign --textmode --output ${file}.text ${file}`);
      await gpg.run(`--clear-sign --output ${file}.clear ${file}`);
      for (const suffix of ['gpg', 'asc', 'text'])
        assert.deepEqual(await verifyFile(file, `${file}.${suffix}`, keyring), signer, suffix);
      const clear = readFileSync(`${file}.clear`);
      const context = { keyring, now: new Date(), source: file, signature: `${file}.clear` };
      const { text } = await verifyClearSigned(clear, context);
      assert.match(text, /^a{64} {2}x\.tar\n- dashed\ntrailing$/m);
      const changed = Buffer.from(clear.toString().replace('x.tar', 'y.tar'));
      await assert.rejects(verifyClearSigned(changed, context), refused('E_SIGNATURE_BAD'));
      const bytes = readFileSync(file);
      bytes[70]! ^= 1;
      writeFileSync(`${file}.changed`, bytes);
      for (const suffix of ['gpg', 'asc', 'text'])
        await assert.rejects(
          verifyFile(`${file}.changed`, `${file}.${suffix}`, keyring),
          refused('E_SIGNATURE_BAD'),
        );
      const signature = readFileSync(`${file}.gpg`);
      signature[signature.length - 3]! ^= 1;
      writeFileSync(`${file}.gpg`, signature);
      await assert.rejects(verifyFile(file, `${file}.gpg`, keyring), refused('E_SIGNATURE_BAD'));
    });

  test('an unknown, an expired, a revoked key; a signature that expired, or is yet to come; SHA-1 and MD5', async () => {
    await using gpg = gnupg();
    const file = join(gpg.home, 'file');
    writeFileSync(file, 'content');
    const sign = async (key: string, name: string, options = '', at?: string): Promise<string> => {
      await gpg.run(`${options} --local-user ${key} --detach-sign --output ${file}.${name} ${file}`, at);
      return `${file}.${name}`;
    };
    const good = await gpg.key('Good', 'ed25519', { at: '20200101T000000' });
    const stranger = await gpg.key('Stranger', 'ed25519');
    const ring = await gpg.ring(good);
    await assert.rejects(
      verifyFile(file, await sign(stranger, 'stranger'), ring),
      refused('E_SIGNATURE_KEY_UNKNOWN', new RegExp(stranger)),
    );

    const expired = await gpg.key('Expired', 'ed25519', { expire: '1y', at: '20200101T000000' });
    const byExpired = await sign(expired, 'expired', '', '20200601T000000');
    const expiredRing = await gpg.ring(expired);
    await assert.rejects(
      verifyFile(file, byExpired, expiredRing),
      refused('E_SIGNATURE_KEY_EXPIRED', /expired on 20(20-12-31|21-01-01)/),
    );
    await verifyFile(file, byExpired, expiredRing, new Date('2020-07-01'));
    await gpg.run(`--quick-set-expire ${expired} 0`);
    assert.equal(
      (await verifyFile(file, byExpired, await gpg.ring(expired))).fingerprint,
      expired,
      'extended',
    );

    const revoked = await gpg.key('Revoked', 'rsa2048');
    const byRevoked = await sign(revoked, 'revoked');
    const unrevoked = await gpg.ring(revoked);
    await verifyFile(file, byRevoked, unrevoked);
    const certificate = `${gpg.home}/openpgp-revocs.d/${revoked}.rev`;
    writeFileSync(certificate, readFileSync(certificate, 'utf8').replace(/^:-/m, '-'));
    await gpg.run(`--import ${certificate}`);
    const revokedRing = await gpg.ring(revoked);
    await assert.rejects(verifyFile(file, byRevoked, revokedRing), refused('E_SIGNATURE_KEY_REVOKED'));

    const stale = await sign(good, 'stale', '--default-sig-expire 10d', '20210101T000000');
    await assert.rejects(
      verifyFile(file, stale, ring),
      refused('E_SIGNATURE_EXPIRED', /expired on 2021-01-11/),
    );
    await verifyFile(file, stale, ring, new Date('2021-01-05'));
    const future = await sign(good, 'future', '', '20990101T000000');
    await assert.rejects(verifyFile(file, future, ring), refused('E_SIGNATURE_EXPIRED', /2099/));

    for (const hash of ['SHA1', 'MD5', 'RIPEMD160']) {
      const weak = await sign(good, hash, `--allow-weak-digest-algos --digest-algo ${hash}`).catch(
        () => undefined,
      );
      // A GnuPG that no longer makes such signatures says so itself.
      if (weak === undefined) continue;
      await assert.rejects(verifyFile(file, weak, ring), refused('E_SIGNATURE_WEAK', /SHA1|MD5|RIPEMD/));
    }

    const short = await gpg.key('Short', 'rsa1024');
    await assert.rejects(
      verifyFile(file, await sign(short, 'short'), await gpg.ring(short)),
      refused('E_SIGNATURE_WEAK', /too weak/),
    );

    const both = join(gpg.home, 'both');
    const [first, second] = ['revoked', 'fresh'];
    await sign(good, second);
    writeFileSync(both, Buffer.concat([readFileSync(`${file}.${first}`), readFileSync(`${file}.${second}`)]));
    const all = await gpg.ring(good, revoked);
    assert.equal((await verifyFile(file, both, all)).fingerprint, good, 'the one that counts');
    await assert.rejects(verifyFile(file, both, revokedRing), refused('E_SIGNATURE_KEY_REVOKED'));
    await assert.rejects(verifyFile(file, both, expiredRing), refused('E_SIGNATURE_KEY_UNKNOWN'));
  });

  test('subkeys sign for their key, and are revoked and expire by themselves', async () => {
    await using gpg = gnupg();
    const file = join(gpg.home, 'file');
    writeFileSync(file, 'content');
    await gpg.run(`--quick-gen-key Main ed25519 cert 0`, '20200101T000000');
    const listed = await gpg.run('--with-colons --list-keys');
    const main = /^fpr:+([0-9A-F]{40}):/m.exec(listed)![1]!;
    await gpg.run(`--quick-add-key ${main} ed25519 sign 1y`, '20200101T000000');
    await gpg.run(`--detach-sign --output ${file}.sub ${file}`, '20200601T000000');
    const ring = await gpg.ring(main);
    const then = new Date('2020-07-01');
    assert.equal((await verifyFile(file, `${file}.sub`, ring, then)).fingerprint, main);
    await assert.rejects(verifyFile(file, `${file}.sub`, ring), refused('E_SIGNATURE_KEY_EXPIRED'));
    await gpg.run(`--quick-set-expire ${main} 0 '*'`, '20200701T000000');
    await verifyFile(file, `${file}.sub`, await gpg.ring(main));
    await sh(
      `printf 'key 1\\nrevkey\\ny\\n0\\n\\ny\\nsave\\n' | gpg --homedir ${quote(gpg.home)} --no-tty --quiet --command-fd 0 --pinentry-mode loopback --passphrase '' --edit-key ${main} >/dev/null 2>&1`,
    );
    await assert.rejects(
      verifyFile(file, `${file}.sub`, await gpg.ring(main)),
      refused('E_SIGNATURE_KEY_REVOKED'),
    );
  });

  test('keyrings: armoured, several keys in several blocks and files, copies that know more', async () => {
    await using gpg = gnupg();
    const file = join(gpg.home, 'file');
    const at = (name: string): string => join(gpg.home, name);
    writeFileSync(file, 'content');
    const a = await gpg.key('A', 'ed25519');
    const b = await gpg.key('B', 'rsa2048');
    for (const key of [a, b]) {
      await gpg.run(`--local-user ${key} --detach-sign --output ${file}.${key} ${file}`);
      await gpg.run(`--armor --export --output ${at(`${key}.asc`)} ${key}`);
      await gpg.run(`--export-secret-keys --output ${at(`${key}.secret`)} ${key}`);
    }
    writeFileSync(
      at('both.asc'),
      Buffer.concat([readFileSync(at(`${a}.asc`)), readFileSync(at(`${b}.asc`))]),
    );
    const load = async (...names: string[]): Promise<Keyring> =>
      await loadKeyring({ store: gpg.home, files: names.map(at) });
    for (const ring of [await load('both.asc'), await load(`${a}.asc`, `${b}.secret`)])
      for (const key of [a, b])
        assert.equal((await verifyFile(file, `${file}.${key}`, ring)).fingerprint, key);
    const certificate = `${gpg.home}/openpgp-revocs.d/${a}.rev`;
    writeFileSync(certificate, readFileSync(certificate, 'utf8').replace(/^:-/m, '-'));
    await gpg.run(`--import ${certificate}`);
    await gpg.run(`--export --output ${at('revoked')} ${a}`);
    for (const order of [
      ['both.asc', 'revoked'],
      ['revoked', 'both.asc'],
    ])
      await assert.rejects(
        verifyFile(file, `${file}.${a}`, await load(...order)),
        refused('E_SIGNATURE_KEY_REVOKED'),
      );
    mkdirSync(at('keys'));
    writeFileSync(at(`keys/${a}.pgp`), readFileSync(at(`${a}.asc`)));
    const system = [at('nothing.pgp'), at(`${b}.asc`), '/nonexistent'];
    const ring = await loadKeyring({ store: gpg.home, files: [], system });
    for (const key of [a, b]) assert.equal((await verifyFile(file, `${file}.${key}`, ring)).fingerprint, key);
    await assert.rejects(load('nothing'), (error) => isCellarError(error, 'E_KEYRING_INVALID'));
    for (const name of ['file', 'pubring.kbx']) {
      const broken = await load(name);
      await assert.rejects(broken.keys(), (error) => isCellarError(error, 'E_KEYRING_INVALID'));
    }
  });

  test('a large file is hashed as it passes', async () => {
    await using gpg = gnupg();
    using scratch = makeScratch('openpgp');
    const file = join(scratch.path, 'image');
    writeFileSync(file, '');
    truncateSync(file, portion(400, 160) * 1024 * 1024);
    const key = await gpg.key('Site', 'ed25519');
    await gpg.run(`--detach-sign --output ${quote(`${file}.gpg`)} ${quote(file)}`);
    const keyring = await gpg.ring(key);
    const context = { keyring, now: new Date(), source: file, signature: `${file}.gpg` };
    const opened = await openSignature(readFileSync(`${file}.gpg`), context);
    let peak = 0;
    const begun = process.memoryUsage().arrayBuffers;
    async function* watched(): AsyncGenerator<Buffer> {
      for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
        peak = Math.max(peak, process.memoryUsage().arrayBuffers - begun);
        yield chunk as Buffer;
      }
    }
    await opened.verify(watched());
    assert.ok(peak < 80 << 20, `${peak >> 20} MiB were held`);
  });
});
