/**
 * Kernel, initramfs and device tree beside a version's subvolumes, under names that never change: some boot loaders do
 * not look into subvolumes, and all of them like fixed paths.
 */
import { join } from 'node:path';
import { fromText, toText, type ByteString } from '../../core/bytes.ts';
import { CellarError } from '../../core/errors.ts';
import { compareVersions } from '../../source/version-order.ts';
import type { Entry } from '../../tree/entry.ts';
import { followPath } from '../../tree/lookup.ts';
import { runProgram } from '../program.ts';
import { bootFiles, type SystemParameters } from './parameters.ts';
import type { Version } from '../port.ts';

/** Later ones count if there are no earlier ones; distributions keep the first two for the newest kernel. */
const usualKernels = ['/vmlinuz', '/boot/vmlinuz', '/boot/zImage', '/boot/uImage', '/boot/Image'];

/** Paths in the tree, symlinks followed, of what there is. @throws E_PATH_NOT_FOUND for what was named */
export function findBootFiles(
  entries: readonly Entry[],
  parameters: SystemParameters,
  { reference }: Pick<Version, 'reference'>,
): ReadonlyMap<(typeof bootFiles)[number], ByteString> {
  const found = new Map<(typeof bootFiles)[number], ByteString>();
  const kernel = usualKernel(entries);
  const usual = { kernel, initramfs: kernel && usualInitramfs(entries, kernel), dtb: undefined };
  for (const name of bootFiles) {
    const named = parameters[name];
    const file = named === undefined ? usual[name] : named === 'none' ? undefined : fileAt(entries, named);
    if (file !== undefined) found.set(name, file);
    else if (named !== undefined && named !== 'none')
      throw new CellarError('E_PATH_NOT_FOUND', {
        details: { path: named, reference },
        hint: `--set ${name}=none goes without`,
      });
  }
  return found;
}

/** Into `directory`, from the subvolume that holds the tree. */
export async function copyBootFiles(
  directory: string,
  files: ReturnType<typeof findBootFiles>,
  signal: AbortSignal,
): Promise<void> {
  for (const [name, path] of files)
    await copy(join(directory, 'orig') + toText(path), join(directory, name), signal);
}

/** With all metadata; what is there goes; content is shared where the file system can. */
export async function copy(from: string, to: string, signal: AbortSignal): Promise<void> {
  await runProgram(['-a', '--reflink=auto', '--remove-destination', '-T', '--', from, to], {
    ...{ program: 'cp', package: 'coreutils', why: 'it copies with all metadata', subject: to, signal },
  });
}

function fileAt(entries: readonly Entry[], path: string): ByteString | undefined {
  const entry = followPath(entries, `/${fromText(path)}`);
  return entry?.type === 'file' ? entry.path : undefined;
}

function usualKernel(entries: readonly Entry[]): ByteString | undefined {
  for (const path of usualKernels) {
    const file = fileAt(entries, path);
    if (file !== undefined) return file;
  }
  return newest(entries.filter(({ path, type }) => type === 'file' && /^\/boot\/vmlinuz-[^/]+$/.test(path)));
}

/** That of the very kernel, if its name tells the version, else the one that distributions link to. */
function usualInitramfs(entries: readonly Entry[], kernel: ByteString): ByteString | undefined {
  const version = /\/vmlinuz-([^/]+)$/.exec(kernel)?.[1];
  const own = version === undefined ? [] : [`/boot/initrd.img-${version}`, `/boot/initramfs-${version}.img`];
  for (const path of [
    ...own,
    '/initrd.img',
    '/boot/initrd.img',
    '/boot/initramfs.img',
    '/boot/initramfs.gz',
  ]) {
    const file = fileAt(entries, toText(path));
    if (file !== undefined) return file;
  }
  return undefined;
}

function newest(kernels: readonly Entry[]): ByteString | undefined {
  return kernels
    .map(({ path }) => path)
    .sort(compareVersions)
    .at(-1);
}
