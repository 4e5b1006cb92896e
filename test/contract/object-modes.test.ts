/** Objects carry the metadata of the files they came from, whatever the umask and wherever the store is. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromText } from '../../src/core/bytes.ts';
import { sha256 } from '../../src/core/digest.ts';
import { objectFile } from '../../src/store/layout.ts';
import { listXattrs, removeInheritedAcls, setXattr } from '../../src/sys/xattr.ts';
import { cellarOk } from '../support/cellar.ts';
import { makeScratch } from '../support/scratch.ts';

test('objects have the modes they came with and no ACL that the directory of their store hands down', async () => {
  using scratch = makeScratch('modes');
  const source = join(scratch.path, 'tree');
  mkdirSync(source);
  // One file large enough to be written in a way of its own.
  const files = [0o666, 0o644, 0o755, 0o4755, 0o400, 0o600].map((mode, at) => {
    const path = join(source, `${at}`);
    writeFileSync(path, `${at}`.repeat(at === 0 ? 400_000 : 5));
    chmodSync(path, mode);
    return { path, mode };
  });
  for (const [directory, umask] of [
    ['plain', '022'],
    ['private', '077'],
    ['acl', '022'],
  ] as const) {
    const home = join(scratch.path, directory);
    mkdirSync(home);
    if (directory === 'acl') setXattr(fromText(home), 'system.posix_acl_default', defaultAcl());
    const store = join(home, 'store');
    const under = ['sh', '-c', `umask ${umask}; exec "$@"`, 'sh'];
    await cellarOk(['import', source, 'image'], { store, under });
    for (const { path, mode } of files) {
      const object = objectFile(store, sha256(readFileSync(path)));
      assert.equal(statSync(object).mode & 0o7777, mode, `${directory}, ${mode.toString(8)}`);
      assert.deepEqual(listXattrs(fromText(object)), []);
    }
  }
  // The one that was made here for comparison would have had it.
  const made = join(scratch.path, 'acl/made');
  writeFileSync(made, '');
  assert.notDeepEqual(listXattrs(fromText(made)), []);
  removeInheritedAcls(fromText(made));
  assert.deepEqual(listXattrs(fromText(made)), []);
});

const skipUnprivileged = process.geteuid?.() === 0 ? false : 'only root gives files away';

test(
  'objects belong to whom they came from, also where new files get the group of their directory',
  {
    skip: skipUnprivileged,
  },
  async () => {
    using scratch = makeScratch('owners');
    const source = join(scratch.path, 'tree');
    mkdirSync(source);
    const files = [0, 7].flatMap((id) =>
      ['small', 'large'.repeat(80_000)].map((content, at) => {
        const path = join(source, `${id}-${at}`);
        writeFileSync(path, `${id} ${content}`);
        chownSync(path, id, id);
        return { path, id };
      }),
    );
    const home = join(scratch.path, 'home');
    mkdirSync(home);
    chownSync(home, 0, 4242);
    chmodSync(home, 0o2755);
    const store = join(home, 'store');
    await cellarOk(['import', source, 'image'], { store });
    for (const { path, id } of files) {
      const { uid, gid } = statSync(objectFile(store, sha256(readFileSync(path))));
      assert.deepEqual([uid, gid], [id, id], path);
    }
    await cellarOk(['fsck'], { store });
  },
);

/** u::rwx,u:1000:rwx,g::r,m::rwx,o::- as the kernel has it. Source: linux/posix_acl_xattr.h. */
function defaultAcl(): string {
  const entries = [
    [1, 7, 0xffffffff],
    [2, 7, 1000],
    [4, 4, 0xffffffff],
    [16, 7, 0xffffffff],
    [32, 0, 0xffffffff],
  ];
  const bytes = Buffer.alloc(4 + 8 * entries.length);
  bytes.writeUInt32LE(2, 0);
  entries.forEach(([tag = 0, rights = 0, id = 0], at) => {
    bytes.writeUInt16LE(tag, 4 + 8 * at);
    bytes.writeUInt16LE(rights, 6 + 8 * at);
    bytes.writeUInt32LE(id, 8 + 8 * at);
  });
  return bytes.toString('latin1');
}
