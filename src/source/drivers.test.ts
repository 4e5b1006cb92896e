import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sourceKinds } from './drivers.ts';

const owners: Readonly<Record<string, readonly string[]>> = {
  http: ['http://h/x', 'HTTPS://h/x.tar', 'file+https://h/x', 'tar+http://h/x', 'squashfs+https://h/x'],
  file: ['file:x', 'file:///x', 'tar+file:x', '/x', './a:b', '../x', 'rootfs.tar', 'a/b c'],
  lxc: ['lxc://h/debian/trixie', 'lxc+http://h/debian/trixie'],
  simplestreams: ['simplestreams:https://h#a', 'simplestreams+http://h#a'],
  latest: ['latest:https://h/?x', 'latest:tar+https://h/?x'],
  morph: ['morph:http://h:8080#x'],
  oci: ['docker://h/x:1', 'docker+http://h/x', 'registry://h/x'],
  'oci-archive': ['docker-archive:x.tar', 'oci-archive:x:1', 'oci:/dir:1'],
};

for (const [name, locations] of Object.entries(owners))
  for (const location of locations)
    test(`${location} is one for ${name} alone`, () => {
      const owner = sourceKinds.filter(({ pattern }) => pattern.test(location)).map((kind) => kind.name);
      assert.deepEqual(owner, [name]);
    });

for (const location of ['', 'ftp://h/x', 'debian:12', 'lxd:x', 'latest', 'data:x', 'tar+ftp://h/x'])
  test(`'${location}' is ${location === 'latest' ? 'a path' : "nobody's"}`, () => {
    const owner = sourceKinds.filter(({ pattern }) => pattern.test(location)).map((kind) => kind.name);
    assert.deepEqual(owner, location === 'latest' ? ['file'] : []);
  });

for (const { name, load } of sourceKinds)
  test(`${name} loads the driver of that name`, async () => {
    assert.equal((await load()).name, name);
  });

test('no two have one name', () => {
  assert.equal(new Set(sourceKinds.map(({ name }) => name)).size, sourceKinds.length);
});
