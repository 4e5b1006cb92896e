/** gpgv accepts what we sign, by keys of either's making; one site pulls by its signature what another exports. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { isCellarError } from '../../src/core/errors.ts';
import type { ErrorCode } from '../../src/core/error-registry.ts';
import { openSigningKey } from '../../src/source/verify/sign.ts';
import { cellar, cellarOk } from '../support/cellar.ts';
import { serve } from '../support/http-server.ts';
import { gnupg } from '../support/gnupg.ts';
import { needs, quote, sh } from '../support/run.ts';
import { makeScratch } from '../support/scratch.ts';

describe('signatures for GnuPG', { skip: needs({ programs: ['gpg', 'gpgconf', 'gpgv'] }) }, () => {
  test('what export signs gpgv accepts, in both forms, and gpg takes our public key', async () => {
    await using gpg = gnupg();
    using scratch = makeScratch('openpgp');
    const at = (name: string): string => join(scratch.path, name);
    const store = at('store');
    mkdirSync(at('tree'));
    writeFileSync(at('tree/file'), 'content');
    await cellarOk(['import', at('tree'), 'x'], { store });
    const { fingerprint } = await cellarOk(['keys', 'new', 'Site <ops@example.org>', '--expires', '2y'], {
      store,
    });
    await cellarOk(['export', 'x', at('x.tar'), '--sign', 'ops@example.org'], { store });
    await cellarOk(['export', 'x', at('y.tar.zst'), '--sign', String(fingerprint)], { store });
    const ring = quote(join(store, `keys/${String(fingerprint).toLowerCase()}.pgp`));
    await sh(`cd ${quote(scratch.path)}
      sha256sum --strict -c SHA256SUMS
      gpgv --keyring ${ring} SHA256SUMS.gpg SHA256SUMS
      gpgv --keyring ${ring} SHA256SUMS.asc SHA256SUMS
      sed -i s/x.tar/z.tar/ SHA256SUMS
      ! gpgv --keyring ${ring} SHA256SUMS.gpg SHA256SUMS`);
    const exported = await cellar(['keys', 'export', 'Site'], { store });
    writeFileSync(at('site.asc'), exported.stdout);
    await gpg.run(`--import ${quote(at('site.asc'))}`);
    assert.match(
      await gpg.run('--with-colons --list-keys'),
      new RegExp(`^fpr:+${String(fingerprint)}:`, 'm'),
    );
  });

  test('a key that gpg made signs, with its passphrase; one that cannot is refused before anything is signed', async () => {
    await using gpg = gnupg();
    using scratch = makeScratch('openpgp');
    const at = (name: string): string => join(scratch.path, name);
    const [store, secret] = [at('store'), at('secret.asc')];
    await sh(`cd ${quote(scratch.path)}
      gpg() { command gpg --homedir ${quote(gpg.home)} --batch --quiet --pinentry-mode loopback --passphrase 'open sesame' "$@"; }
      gpg --quick-gen-key 'Locked <locked@example.org>' ed25519 sign 0
      gpg --armor --export-secret-keys > secret.asc
      gpg --export-secret-subkeys > without
      gpg --export > public
      gpg --faked-system-time 20200101T000000 --quick-gen-key Past ed25519 sign 1y
      gpg --export-secret-keys Past > past`);
    const open = (key: string, passphrase?: string): ReturnType<typeof openSigningKey> =>
      openSigningKey(store, { key, passphrase });
    const code = (wanted: ErrorCode) => (error: unknown) => {
      assert.ok(!JSON.stringify(error).includes('sesame'));
      return isCellarError(error, wanted);
    };
    await assert.rejects(open(secret), code('E_KEY_PASSPHRASE'));
    await assert.rejects(open(secret, 'open barley'), code('E_KEY_PASSPHRASE'));
    await assert.rejects(open(at('public')), code('E_KEYRING_INVALID'));
    await assert.rejects(open(at('nothing')), code('E_KEYRING_INVALID'));
    await assert.rejects(open('locked@example.org'), code('E_KEY_NOT_FOUND'));
    await assert.rejects(open(at('without'), 'open sesame'), code('E_KEY_UNUSABLE'));
    await assert.rejects(open(at('past'), 'open sesame'), code('E_KEY_UNUSABLE'));
    const key = await open(secret, 'open sesame');
    assert.equal(key.signer.user, 'Locked <locked@example.org>');
    writeFileSync(at('file'), 'content');
    writeFileSync(at('file.gpg'), (await key.sign(readFileSync(at('file')))).binary);
    await sh(`cd ${quote(scratch.path)} && gpgv --keyring ./public file.gpg file`);
  });

  test('what one site exports another pulls by its signature; each way of going wrong has its code', async () => {
    using scratch = makeScratch('openpgp');
    const at = (name: string): string => join(scratch.path, name);
    const [here, there] = [{ store: at('here') }, { store: at('there') }];
    for (const directory of ['tree', 'www']) mkdirSync(at(directory));
    writeFileSync(at('tree/file'), 'content');
    await cellarOk(['import', at('tree'), 'x'], here);
    await cellarOk(['keys', 'new', 'Site <ops@example.org>'], here);
    await cellarOk(['export', 'x', at('www/x.tar.zst'), '--sign', 'Site'], here);
    writeFileSync(at('site.asc'), (await cellar(['keys', 'export', 'Site'], here)).stdout);
    await using server = await serve((request, response) => {
      const file = at(`www${request.url}`);
      if (existsSync(file)) response.end(readFileSync(file));
      else response.writeHead(404).end();
    });
    const pull = async (...more: string[]): Promise<string> => {
      const { code, stdout, stderr, result } = await cellar(
        ['--json', 'pull', `${server.url}/x.tar.zst`, 'x', '--refresh', ...more],
        there,
      );
      const [image] = (result?.['images'] ?? []) as { verified?: string }[];
      return code === 0 ? String(image?.verified) : `${code} ${/E_[A-Z_]+/.exec(stdout + stderr)?.[0]}`;
    };
    assert.equal(await pull(), '5 E_SIGNATURE_KEY_UNKNOWN');
    await cellarOk(['keys', 'add', at('site.asc')], there);
    assert.equal(await pull('--verify', 'signature'), 'signature');
    const sums = readFileSync(at('www/SHA256SUMS'), 'utf8');
    writeFileSync(at('www/SHA256SUMS'), sums.replace('x.tar', 'y.tar'));
    assert.equal(await pull(), '5 E_SIGNATURE_BAD');
    for (const suffix of ['gpg', 'asc']) rmSync(at(`www/SHA256SUMS.${suffix}`));
    assert.equal(await pull('--verify', 'checksum'), '5 E_CHECKSUM_NAME');
    writeFileSync(at('www/SHA256SUMS'), sums);
    assert.equal(await pull(), '5 E_VERIFICATION_DOWNGRADE');
    assert.equal(await pull('--verify', 'checksum'), 'checksum');
    const bytes = readFileSync(at('www/x.tar.zst'));
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(at('www/x.tar.zst'), bytes);
    assert.equal(await pull('--verify', 'checksum'), '5 E_CHECKSUM_MISMATCH');
    rmSync(at('www/SHA256SUMS'));
    assert.equal(await pull('--verify', 'checksum'), '5 E_VERIFICATION_UNAVAILABLE');
  });
});
