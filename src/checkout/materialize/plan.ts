/**
 * What worker threads are told: the inodes to make, as columns in shared memory. Forty thousand entries as objects
 * take longer to clone into a worker than to create on disk; as columns they cross at no cost.
 */
import type { ByteString } from '../../core/bytes.ts';
import { formatBits, noXattrs, type Entry, type InodeMeta, type Xattrs } from '../../tree/entry.ts';

/** One inode, or one further name of an inode, as a worker sees it. */
export interface Item extends InodeMeta {
  /** Relative to the target, beginning with `/`; `/` itself is the target. */
  readonly path: ByteString;
  /** `S_IFMT` bits; 0 for a further name of the inode at `target`. */
  readonly format: number;
  readonly size: number;
  readonly rdev: number;
  readonly digest: string;
  /** Target of a symlink; of a further name, the path of its first. */
  readonly target: ByteString;
  /** Content that an earlier item of the plan has with the same metadata. */
  readonly repeated: boolean;
}

export interface Plan {
  readonly directories: Columns;
  readonly inodes: Columns;
  /** Further names of inodes; made when all inodes are. */
  readonly links: Columns;
}

/** Plain data over SharedArrayBuffers: may be posted to a worker. */
export interface Columns {
  readonly count: number;
  readonly numbers: Float64Array;
  readonly digests: Uint8Array;
  readonly text: Uint8Array;
  readonly xattrs: readonly Xattrs[];
}

const mode = 0;
const uid = 1;
const gid = 2;
const mtime = 3;
const mtimeNsec = 4;
const xattrs = 5;
const size = 6;
const rdev = 7;
const pathEnd = 8;
const targetEnd = 9;
const flags = 10;
const width = 11;

const repeatedFlag = 1;
const digestFlag = 2;

/** `markRepeated`: find files with content and metadata of an earlier one; only links to be kept apart need it. */
export function makePlan(entries: readonly Entry[], options: { readonly markRepeated: boolean }): Plan {
  const isLink = (entry: Entry): boolean => entry.hardlink !== undefined;
  return {
    directories: pack(entries.filter((entry) => entry.type === 'directory')),
    inodes: pack(
      entries.filter((entry) => entry.type !== 'directory' && !isLink(entry)),
      options,
    ),
    links: pack(entries.filter(isLink)),
  };
}

/** A function from index to item; views are made once, not per item. */
export function itemReader(columns: Columns): (index: number) => Item {
  const { numbers } = columns;
  const text = asBuffer(columns.text);
  const digests = asBuffer(columns.digests);
  return (index) => {
    const at = index * width;
    const number = (column: number): number => numbers[at + column] ?? 0;
    const start = index === 0 ? 0 : number(targetEnd - width);
    const bits = number(mode);
    return {
      path: text.toString('latin1', start, number(pathEnd)),
      target: text.toString('latin1', number(pathEnd), number(targetEnd)),
      format: bits & 0o170000,
      mode: bits & 0o7777,
      uid: number(uid),
      gid: number(gid),
      mtime: number(mtime),
      mtimeNsec: number(mtimeNsec),
      xattrs: columns.xattrs[number(xattrs)] ?? noXattrs,
      size: number(size),
      rdev: number(rdev),
      digest: number(flags) & digestFlag ? digests.toString('hex', index * 32, index * 32 + 32) : '',
      repeated: (number(flags) & repeatedFlag) !== 0,
    };
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function pack(entries: readonly Entry[], { markRepeated } = { markRepeated: false }): Columns {
  const numbers = new Float64Array(new SharedArrayBuffer(entries.length * width * 8));
  const digests = Buffer.from(new SharedArrayBuffer(entries.length * 32));
  const text = Buffer.from(
    new SharedArrayBuffer(
      entries.reduce((sum, entry) => sum + entry.path.length + targetOf(entry).length, 0),
    ),
  );
  const tables = { xattrs: new XattrTable(), seen: new Set<string>() };
  let end = 0;
  for (const [index, entry] of entries.entries()) {
    const at = index * width;
    end += text.write(entry.path, end, 'latin1');
    numbers[at + pathEnd] = end;
    end += text.write(targetOf(entry), end, 'latin1');
    numbers[at + targetEnd] = end;
    numbers[at + mode] = (entry.hardlink === undefined ? formatBits[entry.type] : 0) | entry.mode;
    numbers[at + uid] = entry.uid;
    numbers[at + gid] = entry.gid;
    numbers[at + mtime] = entry.mtime;
    numbers[at + mtimeNsec] = entry.mtimeNsec;
    numbers[at + xattrs] = tables.xattrs.indexOf(entry.xattrs);
    numbers[at + size] = entry.size;
    numbers[at + rdev] = entry.rdev;
    if (entry.digest !== undefined && entry.type === 'file' && entry.hardlink === undefined) {
      digests.write(entry.digest, index * 32, 'hex');
      const repeated = markRepeated && isRepeated(tables.seen, entry, numbers[at + xattrs] ?? 0);
      numbers[at + flags] = digestFlag | (repeated ? repeatedFlag : 0);
    }
  }
  return { count: entries.length, numbers, digests, text, xattrs: tables.xattrs.table };
}

function targetOf(entry: Entry): ByteString {
  return entry.hardlink ?? entry.target ?? '';
}

function isRepeated(seen: Set<string>, entry: Entry, xattrSet: number): boolean {
  const key = `${entry.digest} ${entry.mode} ${entry.uid} ${entry.gid} ${entry.mtime} ${entry.mtimeNsec} ${xattrSet}`;
  if (seen.has(key)) return true;
  seen.add(key);
  return false;
}

/** Few distinct sets of xattrs occur in a tree; inodes hold the number of theirs. */
class XattrTable {
  readonly table: Xattrs[] = [noXattrs];
  readonly #index = new Map<string, number>();

  indexOf(set: Xattrs): number {
    if (set.length === 0) return 0;
    const key = set.map(([name, value]) => `${name.length}:${name}${value.length}:${value}`).join('');
    const known = this.#index.get(key);
    if (known !== undefined) return known;
    this.#index.set(key, this.table.length);
    return this.table.push(set) - 1;
  }
}
