/**
 * Tar as others speak it: what GNU tar, bsdtar and Python write, in every format of theirs, reads as the entries that
 * were packed; and what we write they unpack to the same tree.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { toBytes } from '../../src/core/bytes.ts';
import { archiveOrder } from '../../src/tree/archive-order.ts';
import { scanDirectory } from '../../src/tree/directory.ts';
import { major, minor } from '../../src/core/rdev.ts';
import { noXattrs, type Entry } from '../../src/tree/entry.ts';
import { compareTrees, type Field } from '../support/compare.ts';
import { readArchive, sha256 } from '../support/read-archive.ts';
import { needs, run, sh, privileged } from '../support/run.ts';
import { makeScratch, type Scratch } from '../support/scratch.ts';
import { tarEnd, tarMember } from '../support/tar.ts';
import { buildTree, type TestTree } from '../support/tree.ts';

const longestV7 = 99;
const largestOctalId = 0o7777777;

/** Whether a format has room for an entry, as `./name`. */
type Fits = (entry: Entry) => boolean;

const idsFit: Fits = ({ uid, gid }) => uid <= largestOctalId && gid <= largestOctalId;
const v7Fits: Fits = (entry) =>
  ['file', 'directory', 'symlink'].includes(entry.type) &&
  idsFit(entry) &&
  entry.path.length + 2 <= longestV7 &&
  (entry.target ?? '').length <= longestV7;
// How a name is cut in two differs: those that need no cut fit everywhere.
const ustarFits: Fits = (entry) =>
  idsFit(entry) && entry.path.length + 2 <= longestV7 && (entry.target ?? '').length <= longestV7;
const allFit: Fits = () => true;

const python = (format: string): string =>
  `python3 -c 'import os,sys,tarfile
t = tarfile.open(sys.argv[1], "w", format=tarfile.${format}, encoding="utf-8", errors="surrogateescape")
for name in open(sys.argv[2], "rb").read().split(b"\\0")[:-1]: t.add(os.fsdecode(name), recursive=False)
t.close()' "$out" "$list"`;
const gnuTar = (options: string): string =>
  `tar ${options} --numeric-owner --no-recursion --null -T "$list" -cf "$out"`;
const bsdTar = (options: string): string =>
  `bsdtar ${options} --numeric-owner -n --null -T "$list" -cf "$out"`;
const rich = "--xattrs --xattrs-include='*' --acls";

interface Packing {
  readonly program: string;
  readonly script: string;
  readonly fits: Fits;
  /** With nanoseconds, xattrs and ACLs. */
  readonly isRich?: boolean;
}

const packings: Readonly<Record<string, Packing>> = {
  'GNU tar v7': { program: 'tar', script: gnuTar('--format=v7'), fits: v7Fits },
  'GNU tar oldgnu': { program: 'tar', script: gnuTar('--format=oldgnu'), fits: allFit },
  'GNU tar oldgnu, sparse': { program: 'tar', script: gnuTar('--format=oldgnu -S'), fits: allFit },
  'GNU tar gnu': { program: 'tar', script: gnuTar('--format=gnu'), fits: allFit },
  'GNU tar gnu, sparse': { program: 'tar', script: gnuTar('--format=gnu -S'), fits: allFit },
  'GNU tar ustar': { program: 'tar', script: gnuTar('--format=ustar'), fits: ustarFits },
  'GNU tar pax': { program: 'tar', script: gnuTar(`--format=pax ${rich}`), fits: allFit, isRich: true },
  'GNU tar pax, sparse 0.0': {
    program: 'tar',
    script: gnuTar(`--format=pax ${rich} -S --sparse-version=0.0`),
    fits: allFit,
    isRich: true,
  },
  'GNU tar pax, sparse 0.1': {
    program: 'tar',
    script: gnuTar(`--format=pax ${rich} -S --sparse-version=0.1`),
    fits: allFit,
    isRich: true,
  },
  'GNU tar pax, sparse 1.0': {
    program: 'tar',
    script: gnuTar(`--format=pax ${rich} -S --sparse-version=1.0`),
    fits: allFit,
    isRich: true,
  },
  'bsdtar v7': { program: 'bsdtar', script: bsdTar('--format=v7tar'), fits: v7Fits },
  'bsdtar ustar': { program: 'bsdtar', script: bsdTar('--format=ustar'), fits: ustarFits },
  'bsdtar gnutar': { program: 'bsdtar', script: bsdTar('--format=gnutar'), fits: allFit },
  'bsdtar pax': {
    program: 'bsdtar',
    script: bsdTar('--format=pax --xattrs --acls'),
    fits: allFit,
    isRich: true,
  },
  'Python ustar': { program: 'python3', script: python('USTAR_FORMAT'), fits: ustarFits },
  'Python gnu': { program: 'python3', script: python('GNU_FORMAT'), fits: allFit },
  'Python pax': { program: 'python3', script: python('PAX_FORMAT'), fits: allFit },
};

let scratch: Scratch;
let simple: TestTree;
let odd: TestTree;
before(() => {
  scratch = makeScratch('interop');
  simple = buildTree({ files: 60, seed: 21, plain: true, packable: true });
  odd = buildTree({ files: 60, seed: 22, packable: true });
});
after(() => {
  simple[Symbol.dispose]();
  odd[Symbol.dispose]();
  scratch[Symbol.dispose]();
});

suite('what others write', () => {
  for (const [name, { program, script, fits, isRich }] of Object.entries(packings))
    test(name, { skip: needs({ programs: [program] }) }, async () => {
      const tree = isRich === true ? odd : simple;
      const wanted = entriesOf(tree.root).filter(fits);
      const [out, list] = [join(scratch.path, 'packed.tar'), join(scratch.path, 'list')];
      writeFileSync(list, toBytes(wanted.map(({ path }) => `.${path}\0`).join('')));
      await sh(script, { cwd: tree.root, env: { out, list } });
      const found = new Map(readArchive(readFileSync(out)).map((entry) => [entry.path, entry]));
      for (const entry of wanted) {
        assert.deepEqual(plain(found.get(entry.path)), plain(entry), entry.path);
        found.delete(entry.path);
      }
      assert.deepEqual([...found.keys()], []);
    });
});

suite('what we write', () => {
  const ignore: readonly Field[] = privileged ? [] : ['uid', 'gid'];
  const unpackers: Readonly<Record<string, string>> = {
    tar: `tar ${rich} --numeric-owner -xpf "$archive"`,
    bsdtar: `bsdtar --xattrs --acls --numeric-owner -xpf "$archive"`,
  };
  for (const [program, script] of Object.entries(unpackers))
    for (const isSparse of [false, true])
      test(
        `${program} unpacks${isSparse ? ', holes and all' : ''}`,
        { skip: needs({ programs: [program, 'getfattr'] }) },
        async () => {
          const archive = join(scratch.path, 'ours.tar');
          writeFileSync(archive, pack(odd.root, isSparse));
          using target = makeScratch('unpacked');
          const root = join(target.path, 'root');
          mkdirSync(root);
          await sh(script, { cwd: root, env: { archive } });
          const lines = await compareTrees(odd.root, root, { ignore });
          // bsdtar leaves the time of the directory it unpacks into, also with archives of its own.
          const isOwn = (line: string): boolean => program === 'bsdtar' && line.startsWith('".": mtime');
          assert.deepEqual(
            lines.filter((line) => !isOwn(line)),
            [],
          );
        },
      );

  test('Python reads', { skip: needs({ programs: ['python3'] }) }, async () => {
    const archive = join(scratch.path, 'ours.tar');
    writeFileSync(archive, pack(odd.root, true));
    const script = `import hashlib,json,os,sys,tarfile
kinds = {b"0": "file", b"1": "link", b"2": "symlink", b"3": "char", b"4": "block", b"5": "directory", b"6": "fifo"}
hexed = lambda text: os.fsencode(text).hex()
for m in tarfile.open(sys.argv[1], encoding="utf-8", errors="surrogateescape"):
    kind = kinds[m.type]
    data = hashlib.sha256(tarfile.open(sys.argv[1], encoding="utf-8", errors="surrogateescape").extractfile(m).read()).hexdigest() if kind == "file" and m.size else None
    print(json.dumps([hexed(m.name), kind, m.mode, m.uid, m.gid, m.mtime, m.size if kind == "file" else 0, hexed(m.linkname), m.devmajor if kind in ("char", "block") else 0, m.devminor if kind in ("char", "block") else 0, data]))`;
    const { code, stdout, stderr } = await run(['python3', '-c', script, archive]);
    assert.equal(code, 0, stderr);
    const found = stdout
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    assert.deepEqual(found, [...archiveOrder(entriesOf(odd.root))].map(asPython));
  });
});

const hex = (text: string): string => toBytes(text).toString('hex');

function asPython(entry: Entry): unknown {
  const { path, type, mode, uid, gid, mtime, mtimeNsec, size, rdev, digest, target = '', hardlink } = entry;
  const isLink = hardlink !== undefined;
  return [
    hex(path === '/' ? '.' : `.${path}`),
    isLink ? 'link' : type,
    mode,
    uid,
    gid,
    // A float there: nanoseconds are beyond it, and so is what `mtime` alone would say.
    Number(`${mtime}.${String(mtimeNsec).padStart(9, '0')}`),
    isLink || type !== 'file' ? 0 : size,
    hex(isLink ? `.${hardlink}` : target),
    major(rdev),
    minor(rdev),
    isLink ? null : (digest ?? null),
  ];
}

/** The entries of a directory, with the digests of their content. */
function entriesOf(root: string): Entry[] {
  return [...scanDirectory(root)].map(({ entry }) =>
    entry.type === 'file' && entry.size > 0 ? { ...entry, digest: sha256(contentOf(root, entry)) } : entry,
  );
}

function contentOf(root: string, { path }: Entry): Buffer {
  return readFileSync(toBytes(`${root}${path}`));
}

function pack(root: string, isSparse: boolean): Buffer {
  const parts = [...archiveOrder(entriesOf(root))].flatMap((entry) => {
    if (entry.digest === undefined || entry.hardlink !== undefined) return [tarMember(entry)!];
    const content = contentOf(root, entry);
    const segments = isSparse && content.length > 100_000 ? dataOf(content) : undefined;
    const stored =
      segments === undefined
        ? content
        : Buffer.concat(segments.map(({ offset, length }) => content.subarray(offset, offset + length)));
    const header = tarMember(entry, segments === undefined ? {} : { sparse: segments })!;
    return [header, stored, Buffer.alloc((512 - (stored.length % 512)) % 512)];
  });
  const bytes = Buffer.concat(parts);
  return Buffer.concat([bytes, tarEnd(bytes.length)]);
}

/** Runs of blocks that are not all zeros. */
function dataOf(content: Buffer): { offset: number; length: number }[] {
  const found: { offset: number; length: number }[] = [];
  for (let offset = 0; offset < content.length; offset += 4096) {
    const block = content.subarray(offset, offset + 4096);
    const last = found.at(-1);
    if (block.every((byte) => byte === 0)) continue;
    if (last !== undefined && last.offset + last.length === offset) last.length += block.length;
    else found.push({ offset, length: block.length });
  }
  return found;
}

function plain(entry: Entry | undefined): unknown {
  if (entry === undefined) return undefined;
  const { xattrs, ...rest } = entry;
  const defined = Object.entries(rest).filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(defined), xattrs: xattrs.length === 0 ? noXattrs : xattrs };
}
