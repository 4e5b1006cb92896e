import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCellarError } from '../../core/errors.ts';
import { defaultReference } from './reference.ts';

const digest = 'a'.repeat(64);

const names: readonly (readonly [source: string, name: string])[] = [
  ['docker://debian:12', 'debian:12'],
  ['registry://quay.io/a/b:1', 'quay.io/a/b:1'],
  ['docker+http://localhost:5000/a:1', 'localhost:5000/a:1'],
  ['docker+https://localhost:5000/a:1', 'localhost:5000/a:1'],
  ['DOCKER+HTTPS://quay.io/a:1', 'quay.io/a:1'],
  [`docker://quay.io/a:1@sha256:${digest}`, 'quay.io/a:1'],
  ['https://host/dir/RootFS.tar.xz?token=1', 'rootfs'],
  ['tar+https://host/dir/', 'dir'],
  ['lxc://host/debian/trixie/arm64', 'debian/trixie/arm64'],
  ['/srv/My App.squashfs', 'my-app'],
];
for (const [source, name] of names)
  test(`${source} is kept as ${name}`, () => {
    assert.equal(defaultReference(source), name);
  });

test('where nothing could be a name, one is asked for', () => {
  for (const source of ['/', 'https://', '/---'])
    assert.throws(
      () => defaultReference(source),
      (error) => isCellarError(error, 'E_USAGE'),
      source,
    );
});
