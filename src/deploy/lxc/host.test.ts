import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratch } from '../../../test/support/scratch.ts';
import { clonesOf, lxcContainers, readText } from './host.ts';

test('a definition that cannot be read is not taken for one that is absent', () => {
  using scratch = makeScratch('lxc');
  const config = join(scratch.path, 'web/config');
  assert.equal(readText(config), undefined);
  assert.equal(readText(join(scratch.path, 'web/config/below')), undefined);
  // read(2) of a directory is refused, even to root.
  mkdirSync(config, { recursive: true });
  assert.throws(() => readText(config), { code: 'EISDIR' });
  assert.deepEqual(lxcContainers(scratch.path), ['web']);
  // Whether it is laid over the base is not known, so the base is not to be taken away.
  assert.throws(() => clonesOf('/base', { path: scratch.path, except: 'base' }), { code: 'EISDIR' });
});

test('clones are told by the layers of their root', () => {
  using scratch = makeScratch('lxc');
  for (const [name, rootfs] of [
    ['base', 'dir:/base/rootfs'],
    ['one', 'overlay:/base/rootfs:/var/lib/lxc/one/delta0'],
    ['other', 'overlay:/base/rootfs-2:/var/lib/lxc/other/delta0'],
  ] as const) {
    mkdirSync(join(scratch.path, name));
    writeFileSync(join(scratch.path, name, 'config'), `lxc.rootfs.path = ${rootfs}\n`);
  }
  assert.deepEqual(clonesOf('/base/rootfs', { path: scratch.path, except: 'base' }), ['one']);
});
