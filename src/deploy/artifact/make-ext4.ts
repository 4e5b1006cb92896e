/**
 * An ext4 file system with a tree in it, made by mke2fs without mounting. Everything that it would decide by its
 * configuration, chance or clock is given, so the same tree gives the same bytes with the same mke2fs.
 */
import { truncateSync, writeFileSync } from 'node:fs';
import { CellarError } from '../../core/errors.ts';
import { parseBytes, formatBytes } from '../../core/quantity.ts';
import { formatBits, type Entry } from '../../tree/entry.ts';
import { treeUuid, warnOfLoss, type Artifact } from './artifact.ts';
import type { Workbench } from '../port.ts';
import { privateCheckout } from './private-checkout.ts';
import { runProgram } from '../program.ts';

const blockBytes = 4096;
const inodeBytes = 256;
const journalBytes = 16 << 20;
const spareBytes = 32 << 20;

const common =
  'none,has_journal,ext_attr,dir_index,filetype,extent,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize';
const features = {
  usual: `${common},resize_inode,64bit,metadata_csum`,
  /** What boot loaders read. */
  boot: `${common},resize_inode`,
} as const;

export interface Ext4Options {
  readonly features: keyof typeof features;
  /** Where in the file it begins, in bytes. */
  readonly offset: number;
  /** Bytes that the file system may have, where something else sets a limit. */
  readonly most?: number;
}

/**
 * `--set size=10G` makes it larger than the tree needs.
 * @returns bytes of the file system; the file ends with it
 * @throws E_MISSING_TOOL, E_NOT_ALLOWED without root, E_USAGE for a size that is none or too large, E_IO for one too small
 */
export async function makeExt4(
  { tree, file, path, version }: Artifact,
  bench: Workbench,
  options: Ext4Options,
): Promise<number> {
  const entries = bench.entries(tree);
  const root = entries[0]!;
  const inodes = Math.ceil(entries.length * 1.125) + 64;
  const size = sizeOf(version.parameters['size'], neededBytes(entries, inodes), options.most);
  const tool = { package: 'e2fsprogs', subject: path, signal: bench.signal };
  const env = {
    // Also the time of the root directory, which alone is not taken from the tree.
    E2FSPROGS_FAKE_TIME: String(Math.max(root.mtime, 1)),
    MKE2FS_CONFIG: '/dev/null',
  };
  warnOfLoss(bench, 'mke2fs', {
    'times before 1901 or after 2038': entries.filter(({ mtime }) => mtime !== (mtime | 0)).length,
    'hard links to symlinks': entries.filter(
      ({ type, hardlink }) => type === 'symlink' && hardlink !== undefined,
    ).length,
  });
  await using checkout = await privateCheckout(bench, tree, 'making an ext4 image');
  writeFileSync(file, '', { flag: 'wx', mode: 0o600 });
  truncateSync(file, options.offset + size);
  const extended = [
    `root_owner=${root.uid}:${root.gid}`,
    `hash_seed=${treeUuid(tree, 'ext4 hash seed')}`,
    `offset=${options.offset}`,
    'lazy_itable_init=0,lazy_journal_init=0,nodiscard',
  ];
  await runProgram(
    [
      ...['-q', '-F', '-t', 'ext4', '-b', String(blockBytes), '-I', String(inodeBytes), '-m', '1'],
      ...['-N', String(Math.max(inodes, Math.ceil(size / 16384))), '-J', `size=${journalBytes >> 20}`],
      ...['-O', features[options.features], '-U', treeUuid(tree, 'ext4'), '-E', extended.join(',')],
      ...['-d', checkout.directory, file, String(size / blockBytes)],
    ],
    { ...tool, program: 'mke2fs', why: 'it makes ext4 file systems', env },
  );
  if (root.mode !== 0o755) {
    const mode = (formatBits.directory | root.mode).toString(8);
    await runProgram(
      [
        '-w',
        '-R',
        `set_inode_field <2> mode 0${mode}`,
        options.offset === 0 ? file : `${file}?offset=${options.offset}`,
      ],
      { ...tool, program: 'debugfs', why: 'it sets the mode of the root directory', env },
    );
  }
  return size;
}

/** Room for a tree and a tenth more. */
function neededBytes(entries: readonly Entry[], inodes: number): number {
  let blocks = 0;
  for (const { type, size, hardlink, xattrs } of entries) {
    if (hardlink !== undefined) continue;
    if (type === 'file') blocks += Math.ceil(size / blockBytes);
    else if (type === 'directory' || (type === 'symlink' && size > 59)) blocks++;
    if (xattrs.length > 0) blocks++;
  }
  const names = entries.reduce((sum, { path }) => sum + path.length - path.lastIndexOf('/') + 12, 0);
  return (blocks * blockBytes + names + inodes * inodeBytes) * 1.1 + journalBytes + spareBytes;
}

function sizeOf(wanted: string | undefined, needed: number, most = Infinity): number {
  const chosen = wanted === undefined ? needed : parseBytes(wanted);
  if (chosen === undefined)
    throw new CellarError('E_USAGE', { details: { problem: `size=${wanted} is no size, such as 10G` } });
  const size = Math.ceil(chosen / (1 << 20)) * (1 << 20);
  if (size <= most) return size;
  throw new CellarError('E_USAGE', {
    details: {
      problem: `a file system of ${formatBytes(size)} does not fit: it may have ${formatBytes(most)}`,
    },
  });
}
