/**
 * Complete comparison of two directory trees: every stat field that can be equal, xattrs of all name spaces,
 * hard-link grouping and content. It reads with lstat(2) and getfattr(1) and shares no code with the product,
 * so that it cannot share its mistakes.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  type BigIntStats,
  type PathLike,
} from 'node:fs';
import { spawn } from 'node:child_process';

export interface NodeState {
  readonly type: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** Undefined for directories, whose size is the file system's own business. */
  readonly size: bigint | undefined;
  readonly mtime: bigint;
  /** Undefined for directories (btrfs says 1). */
  readonly nlink: number | undefined;
  /** First path, in byte order, of the same inode. */
  readonly firstName: string;
  readonly rdev: bigint;
  readonly target: string | undefined;
  /** `name=hex` lines, sorted. */
  readonly xattrs: string;
  readonly content: string | undefined;
  /** Whether fewer blocks are allocated than the size needs. */
  readonly sparse: boolean;
}

export type Field = keyof NodeState;

/** Latin-1 path relative to the root (`.` for the root itself) → what is there. */
export type Snapshot = ReadonlyMap<string, NodeState>;

export interface SnapshotOptions {
  /** Latin-1 relative path → false to leave it and what is below out. */
  readonly include?: (path: string) => boolean;
}

export interface CompareOptions extends SnapshotOptions {
  /** Fields that need not be equal. `sparse` is compared only when named in `also`. */
  readonly ignore?: readonly Field[];
  readonly also?: readonly 'sparse'[];
  /** Compare mtimes in whole seconds. */
  readonly wholeSeconds?: boolean;
  /** xattr names left out, e.g. `(name) => name.startsWith('security.selinux')`. */
  readonly ignoreXattr?: (name: string) => boolean;
}

const kinds: Readonly<Record<number, string>> = {
  0o010000: 'fifo',
  0o020000: 'char',
  0o040000: 'directory',
  0o060000: 'block',
  0o100000: 'file',
  0o120000: 'symlink',
  0o140000: 'socket',
};

export async function snapshot(root: string, options: SnapshotOptions = {}): Promise<Snapshot> {
  const xattrs = await readXattrs(root);
  const firstNames = new Map<string, string>();
  const contents = new Map<string, string>();
  const nodes = new Map<string, NodeState>();
  for (const { path, stat, full } of walk(root, options.include ?? (() => true))) {
    const inode = `${stat.dev}:${stat.ino}`;
    if (!firstNames.has(inode)) firstNames.set(inode, path);
    const type = kinds[Number(stat.mode) & 0o170000] ?? 'unknown';
    const isFile = type === 'file';
    if (isFile && !contents.has(inode)) contents.set(inode, hash(full));
    nodes.set(path, {
      type,
      mode: (Number(stat.mode) & 0o7777).toString(8),
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      size: type === 'directory' ? undefined : stat.size,
      mtime: stat.mtimeNs,
      nlink: type === 'directory' ? undefined : Number(stat.nlink),
      firstName: firstNames.get(inode) as string,
      rdev: type === 'char' || type === 'block' ? stat.rdev : 0n,
      target: type === 'symlink' ? readlinkSync(full, 'latin1') : undefined,
      xattrs: xattrs.get(path) ?? '',
      content: isFile ? contents.get(inode) : undefined,
      sparse: isFile && stat.blocks * 512n < stat.size,
    });
  }
  return nodes;
}

/** One line per difference; an empty list means equal. */
export function differences(wanted: Snapshot, found: Snapshot, options: CompareOptions = {}): string[] {
  const lines: string[] = [];
  for (const path of wanted.keys()) if (!found.has(path)) lines.push(`missing: ${show(path)}`);
  for (const path of found.keys()) if (!wanted.has(path)) lines.push(`unexpected: ${show(path)}`);
  const ignored = new Set<Field>([
    ...(options.ignore ?? []),
    ...(options.also?.includes('sparse') === true ? [] : (['sparse'] as const)),
  ]);
  for (const [path, left] of wanted) {
    const right = found.get(path);
    if (right === undefined) continue;
    for (const field of Object.keys(left) as Field[]) {
      if (ignored.has(field)) continue;
      const [a, b] = [comparable(left, field, options), comparable(right, field, options)];
      if (a !== b) lines.push(`${show(path)}: ${field} wanted ${String(a)}, found ${String(b)}`);
    }
  }
  return lines;
}

/** Differences between the trees at `wanted` and `found`. */
export async function compareTrees(
  wanted: string,
  found: string,
  options: CompareOptions = {},
): Promise<string[]> {
  return differences(await snapshot(wanted, options), await snapshot(found, options), options);
}

function comparable(node: NodeState, field: Field, options: CompareOptions): unknown {
  if (field === 'mtime' && options.wholeSeconds === true) {
    const seconds = node.mtime / 1_000_000_000n;
    return node.mtime < seconds * 1_000_000_000n ? seconds - 1n : seconds;
  }
  if (field === 'xattrs' && options.ignoreXattr !== undefined) {
    const ignore = options.ignoreXattr;
    return node.xattrs
      .split('\n')
      .filter((line) => !ignore(line.slice(0, line.indexOf('='))))
      .join('\n');
  }
  return node[field];
}

interface Visit {
  readonly path: string;
  readonly full: Buffer;
  readonly stat: BigIntStats;
}

/** Depth first in byte order, so that the first name of an inode does not depend on the file system. */
function* walk(root: string, include: (path: string) => boolean): Generator<Visit> {
  const paths: string[] = ['.'];
  for (let path = paths.pop(); path !== undefined; path = paths.pop()) {
    const full = Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, 'latin1')]);
    const stat = lstatSync(full, { bigint: true });
    yield { path, full, stat };
    if (!stat.isDirectory()) continue;
    const names = readdirSync(full, { encoding: 'buffer' }).map((name) => name.toString('latin1'));
    const below = names.map((name) => (path === '.' ? name : `${path}/${name}`)).filter(include);
    paths.push(...below.sort((a, b) => (a < b ? 1 : -1)));
  }
}

function hash(path: PathLike): string {
  const digest = createHash('sha256');
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(1 << 20);
    for (let count = readSync(file, buffer); count > 0; count = readSync(file, buffer)) {
      digest.update(buffer.subarray(0, count));
    }
  } finally {
    closeSync(file);
  }
  return digest.digest('hex');
}

/** `getfattr -R` over the tree: Latin-1 path → sorted `name=hex` lines. */
async function readXattrs(root: string): Promise<Map<string, string>> {
  const child = spawn('getfattr', ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '.'], { cwd: root });
  const chunks: Buffer[] = [];
  let problems = '';
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => (problems += chunk.toString()));
  const code = await new Promise((resolve, reject) => child.on('close', resolve).on('error', reject));
  if (code !== 0) throw new Error(`getfattr in ${root}: ${problems}`);
  const result = new Map<string, string>();
  for (const block of Buffer.concat(chunks).toString('latin1').split('\n\n')) {
    const [head = '', ...lines] = block.split('\n');
    if (!head.startsWith('# file: ')) continue;
    result.set(unquote(head.slice('# file: '.length)), lines.filter(Boolean).map(unquote).sort().join('\n'));
  }
  return result;
}

/** getfattr(1) writes newline, carriage return and backslash as three octal digits. */
function unquote(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}

function show(path: string): string {
  return JSON.stringify(Buffer.from(path, 'latin1').toString());
}
