/**
 * `disk:PATH`: a disk for a machine with a BIOS: a partition table, one ext4 partition with the tree, and extlinux,
 * which starts the newest kernel in /boot. Raw, or qcow2 when the name ends so.
 */
import { existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toText, type ByteString } from '../../core/bytes.ts';
import type { Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import { compareVersions } from '../../source/version-order.ts';
import { descriptor } from '../../sys/descriptor.ts';
import { writeFully } from '../../sys/write-fully.ts';
import type { Entry } from '../../tree/entry.ts';
import { artifactTarget, treeUuid, type Artifact } from './artifact.ts';
import { makeExt4 } from './make-ext4.ts';
import type { Workbench } from '../port.ts';
import { runProgram } from '../program.ts';

export const diskTarget = artifactTarget({
  kind: 'disk',
  async write(artifact, bench) {
    const { tree, file, path } = artifact;
    const kernel = findKernel(bench.entries(tree));
    const size = await makeExt4(artifact, bench, { features: 'boot', offset: start, most: largestPartition });
    if (kernel === undefined)
      bench.events({
        type: 'warning',
        code: 'W_NO_KERNEL',
        text: `the tree has no /boot/vmlinuz-*, so ${path} does not start by itself`,
      });
    else await installLoader(artifact, bench, kernel);
    writeTable(file, { tree, size, code: kernel === undefined ? Buffer.alloc(0) : loaderCode() });
    if (path.endsWith('.qcow2')) await toQcow2(artifact, bench);
  },
});

const sector = 512;
/** Of the partition: one MiB in, as every partitioning program has it. */
const start = 1 << 20;
/** The table counts sectors with 32 bits. */
const largestPartition = 2 ** 32 * sector - (1 << 20);
/** Debian's extlinux has it in the first place, others in the second. */
const loaderFiles = [
  '/usr/lib/EXTLINUX/mbr.bin',
  '/usr/lib/syslinux/mbr/mbr.bin',
  '/usr/share/syslinux/mbr.bin',
];

interface Kernel {
  readonly path: string;
  readonly initrd?: string;
}

function findKernel(entries: readonly Entry[]): Kernel | undefined {
  const prefix = '/boot/vmlinuz-';
  const names = new Set<ByteString>(entries.map(({ path }) => path));
  const version = [...names]
    .filter((path) => path.startsWith(prefix) && /^[\w.+~-]+$/.test(path.slice(prefix.length)))
    .map((path) => path.slice(prefix.length))
    .sort(compareVersions)
    .at(-1);
  if (version === undefined) return undefined;
  const initrd = [`/boot/initrd.img-${version}`, `/boot/initramfs-${version}.img`].find((path) =>
    names.has(path),
  );
  return { path: toText(prefix + version), ...(initrd === undefined ? {} : { initrd: toText(initrd) }) };
}

/** extlinux finds its own blocks through the mounted file system, and the kernel must be where its menu says. */
async function installLoader(artifact: Artifact, bench: Workbench, kernel: Kernel): Promise<void> {
  const mounted = join(bench.scratch, 'disk');
  const common = { subject: artifact.path, signal: bench.signal };
  const mount = { ...common, package: 'mount', why: 'the boot loader is installed in a mounted file system' };
  mkdirSync(mounted);
  // Not to be cancelled: killed in the middle, it may have mounted what nobody would unmount then.
  await runProgram(['-o', `loop,offset=${start}`, '-t', 'ext4', artifact.file, mounted], {
    ...{ ...mount, program: 'mount', signal: never },
  });
  try {
    const directory = join(mounted, 'boot/extlinux');
    mkdirSync(directory, { recursive: true });
    const menu = join(directory, 'extlinux.conf');
    if (!existsSync(menu)) writeFileSync(menu, menuOf(artifact, kernel));
    await runProgram(['--install', directory], {
      ...{ ...common, program: 'extlinux', package: 'extlinux', why: 'it is the boot loader of disks' },
    });
  } finally {
    await runProgram([mounted], { ...mount, program: 'umount', signal: never });
  }
}

const never = new AbortController().signal;

function menuOf({ tree, version }: Artifact, { path, initrd }: Kernel): string {
  const own = version.parameters['cmdline'] ?? 'console=tty0 console=ttyS0';
  const lines = [
    'DEFAULT linux',
    'LABEL linux',
    `  LINUX ${path}`,
    ...(initrd === undefined ? [] : [`  INITRD ${initrd}`]),
    `  APPEND root=PARTUUID=${signatureOf(tree).toString(16).padStart(8, '0')}-01 ro ${own.replace(/\s+/g, ' ')}`,
  ];
  return `${lines.join('\n')}\n`;
}

function signatureOf(tree: Digest): number {
  return parseInt(treeUuid(tree, 'disk').slice(0, 8), 16);
}

/** @throws E_MISSING_TOOL */
function loaderCode(): Buffer {
  const file = loaderFiles.find((path) => existsSync(path));
  if (file !== undefined) return readFileSync(file).subarray(0, 440);
  throw new CellarError('E_MISSING_TOOL', {
    details: { program: 'mbr.bin', why: 'a BIOS starts it', package: 'extlinux' },
  });
}

/** A classic table of one active partition. Source: "Master boot record", as fdisk(8) writes it. */
function writeTable(file: string, disk: { tree: Digest; size: number; code: Buffer }): void {
  const table = Buffer.alloc(sector);
  disk.code.copy(table);
  table.writeUInt32LE(signatureOf(disk.tree), 440);
  const largestChs = [0xfe, 0xff, 0xff];
  table.set([0x80, ...largestChs, 0x83, ...largestChs], 446);
  table.writeUInt32LE(start / sector, 454);
  table.writeUInt32LE(disk.size / sector, 458);
  table.writeUInt16LE(0xaa55, 510);
  using opened = descriptor(openSync(file, 'r+'));
  writeFully(opened.fd, table, 0);
}

async function toQcow2({ file, path }: Artifact, bench: Workbench): Promise<void> {
  const packed = `${file}.qcow2`;
  try {
    await runProgram(['convert', '-f', 'raw', '-O', 'qcow2', file, packed], {
      ...{ program: 'qemu-img', package: 'qemu-utils', why: 'it makes qcow2 images' },
      ...{ subject: path, signal: bench.signal },
    });
    renameSync(packed, file);
  } finally {
    rmSync(packed, { force: true });
  }
}
