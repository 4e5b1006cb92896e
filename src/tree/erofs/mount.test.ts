/** What the kernel makes of an image: every name with every field of its entry. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { needsRoot, scratchDirectory } from '../../../test/support/filesystem.ts';
import { generatedTree } from '../../../test/support/generated-tree.ts';
import { toBytes } from '../../core/bytes.ts';
import { mountErofs } from '../../sys/mount.ts';
import { unmount } from '../../sys/mount-api.ts';
import { lstatFull } from '../../sys/stat.ts';
import { listXattrs } from '../../sys/xattr.ts';
import { countLinks } from '../canonical.ts';
import { formatBits, type Entry } from '../entry.ts';
import { readDump } from '../../../test/support/composefs-dump.ts';
import { writeErofs } from './write.ts';

const data = new URL('../../../test/data/dumps/', import.meta.url);

test('a mounted image shows the tree', { skip: needsRoot }, () => {
  const entries = generatedTree(5000);
  using mounted = mount(writeErofs(entries));
  compareEntries(entries, mounted.path);
  const stubs = 256 - entries.filter(({ path }) => /^\/[0-9a-f]{2}$/.test(path)).length;
  assert.equal(walk(Buffer.from(mounted.path)), entries.length - 1 + stubs);
});

for (const file of readdirSync(data).filter((name) => name.endsWith('.dump'))) {
  test(`a mounted image shows ${file}`, { skip: needsRoot }, () => {
    const entries = readDump(readFileSync(new URL(file, data)));
    using mounted = mount(writeErofs(entries));
    compareEntries(entries, mounted.path);
  });
}

function compareEntries(entries: readonly (Entry & { links?: number })[], target: string): void {
  const links = countLinks(entries);
  for (const [index, entry] of entries.entries()) {
    const path = `${target}${entry.path}`;
    const { mode, uid, gid, rdev, mtime, mtimeNsec, nlink, size } = lstatFull(path);
    const whiteout = entry.type === 'char' && entry.rdev === 0;
    const directory = entry.type === 'directory';
    assert.deepEqual(
      { mode, uid, gid, rdev, mtime, mtimeNsec, nlink, size: directory ? 0 : size },
      {
        mode: formatBits[whiteout ? 'file' : entry.type] | entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        rdev: entry.rdev,
        mtime: entry.mtime,
        mtimeNsec: entry.mtimeNsec,
        nlink: directory ? links[index] : (entry.links ?? links[index]),
        size: entry.size,
      },
      entry.path,
    );
    if (entry.target !== undefined) {
      assert.equal(readlinkSync(toBytes(path), 'buffer').toString('latin1'), entry.target);
    }
    const found = new Map(listXattrs(path));
    for (const [name, value] of entry.xattrs) {
      const shown = name.replace(/^trusted\.overlay\./, 'trusted.overlay.overlay.');
      // The kernel shows the name spaces it knows, and user.* of files and directories only.
      if (name.startsWith('user.') && entry.type !== 'file' && !directory) continue;
      if (/^(?:user|trusted|security)\../.test(name))
        assert.equal(found.get(shown), value, `${entry.path} ${name}`);
    }
    if (entry.digest !== undefined) {
      const redirect = `/${entry.digest.slice(0, 2)}/${entry.digest.slice(2)}`;
      assert.equal(found.get('trusted.overlay.redirect'), redirect);
    }
  }
}

function walk(directory: Buffer): number {
  let count = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true, encoding: 'buffer' })) {
    count++;
    if (entry.isDirectory()) count += walk(Buffer.concat([directory, Buffer.from('/'), entry.name]));
  }
  return count;
}

function mount(image: Buffer): Disposable & { readonly path: string } {
  const scratch = scratchDirectory();
  const file = join(scratch.path, 'image');
  const path = join(scratch.path, 'mnt');
  writeFileSync(file, image);
  mkdirSync(path);
  mountErofs({ image: file, target: path });
  return {
    path,
    [Symbol.dispose]: () => {
      unmount(path);
      scratch[Symbol.dispose]();
    },
  };
}
