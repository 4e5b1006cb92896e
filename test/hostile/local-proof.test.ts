/** Files on this machine that others may write to: what is proven of them is proven of what is taken, or not at all. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../src/core/digest.ts';
import { cellar, cellarOk } from '../support/cellar.ts';
import { needs, sh } from '../support/run.ts';
import { makeScratch, type Scratch } from '../support/scratch.ts';
import { archive, file } from '../support/tar-builder.ts';

interface Site {
  readonly here: string;
  readonly options: { readonly store: string; readonly cwd: string };
}

function siteOf({ path }: Scratch): Site {
  return { here: join(path, 'here'), options: { store: join(path, 'store'), cwd: path } };
}

test('a squashfs image that changes once it was hashed', { skip: needsSquashfs() }, async () => {
  using scratch = makeScratch('local-proof');
  const { here, options } = siteOf(scratch);
  await sh(
    `mkdir -p good evil here bin; echo signed >good/name; echo unseen >evil/name
    for each in good evil; do tar -C $each -cf - . | tar2sqfs -q $each.squashfs; done
    cp good.squashfs here/image.squashfs; cd here; sha256sum image.squashfs >SHA256SUMS
    real=$(command -v sqfs2tar); cd ..
    printf '#!/bin/sh\\ncat evil.squashfs >here/image.squashfs\\nexec %s "$@"\\n' "$real" >bin/sqfs2tar
    chmod +x bin/sqfs2tar`,
    { cwd: scratch.path },
  );
  const env = { PATH: `${scratch.path}/bin:${process.env['PATH']}` };
  const pull = ['pull', join(here, 'image.squashfs'), 'image', '--verify', 'checksum'];
  await cellarOk(pull, { ...options, env });
  assert.equal((await cellar(['cat', 'image', 'name'], options)).stdout, 'signed\n');
  assert.deepEqual(
    readdirSync(join(options.store, 'downloads')).filter((name) => name.endsWith('.part')),
    [],
  );
  assert.equal((await cellar([...pull, '--refresh'], options)).code, 5);
});

test('names that mean something in a URL', async () => {
  using scratch = makeScratch('local-proof');
  const { here, options } = siteOf(scratch);
  mkdirSync(here);
  const names = ['a#b.tar', 'e%41.tar'];
  for (const [index, name] of names.entries()) {
    const tar = archive(file('name', name));
    writeFileSync(join(here, name), tar);
    writeFileSync(join(here, 'SHA256SUMS'), `${sha256(tar)}  ${name}\n`);
    // What they would be as parts of a URL.
    for (const other of ['a', 'eA.tar']) writeFileSync(join(here, `${other}.sha256`), sha256('other'));
    await cellarOk(['pull', join(here, name), `n:${index}`, '--verify', 'checksum'], options);
    writeFileSync(join(here, 'SHA256SUMS'), `${sha256('other')}  ${name}\n`);
    assert.equal((await cellar(['pull', join(here, name), `m:${index}`], options)).code, 5);
  }
});

test('a directory proves nothing, and is not said to', async () => {
  using scratch = makeScratch('local-proof');
  const { here, options } = siteOf(scratch);
  mkdirSync(here);
  writeFileSync(join(here, 'name'), 'content');
  for (const level of ['signature', 'checksum']) {
    const refused = await cellar(['pull', here, 'dir', '--verify', level], options);
    assert.equal(refused.code, 5, refused.stderr);
    assert.match(refused.stderr, /E_VERIFICATION_UNAVAILABLE/);
  }
  const digest = await cellar(['pull', here, 'dir', '--sha256', sha256('x')], options);
  assert.equal(digest.code, 2, digest.stderr);
  const tar = archive(file('name', 'content'));
  writeFileSync(join(scratch.path, 'x.tar'), tar);
  writeFileSync(join(scratch.path, 'x.tar.sha256'), sha256(tar));
  await cellarOk(['pull', join(scratch.path, 'x.tar'), 'dir'], options);
  const weaker = await cellar(['pull', here, 'dir'], options);
  assert.match(weaker.stderr, /E_VERIFICATION_DOWNGRADE/);
  await cellarOk(['pull', here, 'dir', '--verify', 'no'], options);
});

function needsSquashfs(): string | false {
  return needs({ programs: ['tar2sqfs', 'sqfs2tar'] });
}

test('what lies beside a file and is none is not waited for', async () => {
  using scratch = makeScratch('local-proof');
  const { here, options } = siteOf(scratch);
  mkdirSync(here);
  const name = `${'n'.repeat(250)}.tar`;
  writeFileSync(join(here, 'x.tar'), archive(file('name', 'content')));
  writeFileSync(join(here, name), archive(file('name', 'content')));
  await cellarOk(['pull', join(here, name), 'long'], options);
  for (const make of ['mkfifo x.tar.asc', 'ln -sf /dev/zero x.tar.asc']) {
    await sh(make, { cwd: here });
    const refused = await cellar(['pull', join(here, 'x.tar'), 'x'], options);
    assert.match(refused.stderr, /E_IO.*x\.tar\.asc: it is no file/);
  }
});
