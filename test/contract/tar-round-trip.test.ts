/** What the tar writer writes, the reader gives back as the same entries, whatever is in them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { makedev } from '../../src/core/rdev.ts';
import { noXattrs, parentPath, type Entry } from '../../src/tree/entry.ts';
import { readArchive, sha256 } from '../support/read-archive.ts';
import { createTarParser, tarEnd, tarMember, type TarMember } from '../support/tar.ts';

const byteString = (options: { minLength: number; maxLength: number }): fc.Arbitrary<string> =>
  fc.uint8Array(options).map((bytes) => Buffer.from(bytes).toString('latin1'));
const component = fc
  .oneof(
    { weight: 4, arbitrary: byteString({ minLength: 1, maxLength: 20 }) },
    { weight: 1, arbitrary: byteString({ minLength: 90, maxLength: 110 }) },
    { weight: 1, arbitrary: byteString({ minLength: 250, maxLength: 255 }) },
  )
  .map((name) => name.replace(/[/\0]/g, '_'))
  .filter((name) => name !== '.' && name !== '..');
const path = fc.array(component, { minLength: 1, maxLength: 6 }).map((parts) => `/${parts.join('/')}`);
const id = fc.oneof(fc.nat(100_000), fc.constantFrom(0o7777777, 0o10000000), fc.nat(0xffff_fffe));
const xattrName = byteString({ minLength: 1, maxLength: 30 }).map(
  (name) => `user.${name.replaceAll('\0', '=')}`,
);
const xattrs = fc
  .uniqueArray(fc.tuple(xattrName, byteString({ minLength: 0, maxLength: 300 })), {
    maxLength: 4,
    selector: ([name]) => name,
  })
  .map((list) => (list.length === 0 ? noXattrs : list.toSorted(([a], [b]) => (a < b ? -1 : 1))));
const inode = fc.record({
  mode: fc.nat(0o7777),
  uid: id,
  gid: id,
  mtime: fc.oneof(fc.integer(), fc.constantFrom(0, -1, 8 ** 11 - 1, 8 ** 11), fc.maxSafeInteger()),
  mtimeNsec: fc.oneof(fc.constant(0), fc.nat(999_999_999)),
  xattrs,
});
const size = fc.oneof(fc.nat(5000), fc.constantFrom(0, 511, 512, 513));
const kind = fc.oneof(
  size.map((bytes) => ({ type: 'file' as const, size: bytes })),
  fc.constantFrom({ type: 'directory' as const }, { type: 'fifo' as const }),
  fc
    .tuple(fc.constantFrom('char' as const, 'block' as const), fc.nat(0xfff), fc.nat(0xfffff))
    .map(([type, major, minor]) => ({ type, rdev: makedev(major, minor) })),
  byteString({ minLength: 1, maxLength: 300 }).map((text) => ({
    type: 'symlink' as const,
    target: text.replaceAll('\0', '_'),
  })),
);
const entry: fc.Arbitrary<Entry> = fc.tuple(path, inode, kind).map(([at, meta, what]) => ({
  path: at,
  ...meta,
  size: 0,
  rdev: 0,
  ...what,
  ...(what.type === 'symlink' ? { mode: 0o777, size: what.target.length } : {}),
  ...(what.type === 'file' && what.size > 0 ? { digest: sha256(contentOf(what.size)) } : {}),
}));

function contentOf(bytes: number): Buffer {
  return Buffer.alloc(bytes, 'content');
}

function write(entries: readonly Entry[]): Buffer {
  const parts = entries.flatMap((one) => {
    const content = one.type === 'file' && one.hardlink === undefined ? contentOf(one.size) : Buffer.alloc(0);
    return [tarMember(one)!, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  const bytes = Buffer.concat(parts);
  return Buffer.concat([bytes, tarEnd(bytes.length)]);
}

/** What the archive's own members became, without the parents they imply. */
function through(entries: readonly Entry[]): unknown[] {
  const written = new Set(entries.map(({ path: at }) => at));
  return readArchive(write(entries))
    .filter(({ path: at }) => written.has(at))
    .map(plain);
}

test('any entry', () => {
  fc.assert(
    fc.property(entry, (one) => {
      assert.deepEqual(through([one]), [plain(one)]);
    }),
    { numRuns: 1000 },
  );
});

/** A name that no generated one comes after. */
const beyond = `/${'\xff'.repeat(250)}`;

test('trees with hard links', () => {
  const list = fc.uniqueArray(entry, { minLength: 1, maxLength: 12, selector: (one) => one.path });
  fc.assert(
    fc.property(list, (entries) => {
      const tree = withoutConflicts(entries);
      const first = tree.find(({ type }) => type !== 'directory');
      const linked = first === undefined ? [] : [{ ...first, path: beyond, hardlink: first.path }];
      const all = [...tree, ...linked];
      assert.deepEqual(through(all), all.map(plain));
    }),
    { numRuns: 300 },
  );
});

test('the same entry gives the same bytes, whole blocks of them', () => {
  fc.assert(
    fc.property(entry, (one) => {
      const bytes = tarMember(one)!;
      assert.equal(bytes.length % 512, 0);
      assert.ok(bytes.equals(tarMember({ ...one })!));
    }),
    { numRuns: 200 },
  );
});

test('sparse files: the map reads back, at any size', () => {
  const gaps = fc.array(fc.tuple(fc.nat(1 << 20), fc.integer({ min: 1, max: 2000 })), { maxLength: 150 });
  fc.assert(
    fc.property(path, gaps, fc.integer({ min: 0, max: 2 ** 38 }), (at, list, tail) => {
      let end = 0;
      const sparse = list.map(([gap, length]) => {
        const offset = end + gap + 1;
        end = offset + length;
        return { offset, length };
      });
      const stored = sparse.reduce((sum, { length }) => sum + length, 0);
      const one = { ...empty, path: at, type: 'file' as const, size: end + tail };
      const content = Buffer.alloc(Math.ceil(stored / 512) * 512);
      const [member, ...more] = membersOf(
        Buffer.concat([tarMember(one, { sparse })!, content, Buffer.alloc(1024)]),
      );
      assert.deepEqual(more, []);
      assert.equal(member?.path, `.${at}`);
      assert.equal(member.size, end + tail);
      assert.equal(member.storedSize, stored);
      assert.deepEqual(
        member.sparse?.filter(({ length }) => length > 0),
        sparse,
      );
    }),
    { numRuns: 200 },
  );
});

test('sockets have no place in tar', () => {
  assert.equal(tarMember({ ...empty, path: '/s', type: 'socket' }), undefined);
});

const empty = { mode: 0o644, uid: 0, gid: 0, mtime: 0, mtimeNsec: 0, xattrs: noXattrs, size: 0, rdev: 0 };

function membersOf(bytes: Buffer): TarMember[] {
  const members: TarMember[] = [];
  const parser = createTarParser(
    { member: (member) => void members.push(member), data() {}, memberEnd() {} },
    { source: 'test', limits: { maxSize: 2 ** 52, maxFiles: 1e6 } },
  );
  parser.push(bytes);
  parser.finish();
  return members;
}

/** In canonical order, and nothing below what is no directory. */
function withoutConflicts(entries: readonly Entry[]): Entry[] {
  const kept = new Map<string, Entry>();
  const isFree = (at: string): boolean => {
    for (let up = parentPath(at); up !== '/'; up = parentPath(up))
      if ((kept.get(up)?.type ?? 'directory') !== 'directory') return false;
    return true;
  };
  for (const one of entries.toSorted((a, b) => (a.path < b.path ? -1 : 1)))
    if (isFree(one.path)) kept.set(one.path, one);
  return [...kept.values()];
}

function plain(one: Entry): unknown {
  return Object.fromEntries(Object.entries(one).filter(([, value]) => value !== undefined));
}
