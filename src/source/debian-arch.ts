/** Image servers name architectures as Debian or the kernel does; platforms are named as OCI does. */
import type { Platform } from '../core/platform.ts';

const debian: Readonly<Record<string, Platform>> = {
  amd64: 'linux/amd64',
  arm64: 'linux/arm64',
  armel: 'linux/arm/v5',
  armhf: 'linux/arm/v7',
  i386: 'linux/386',
  loong64: 'linux/loong64',
  mips64el: 'linux/mips64le',
  ppc64el: 'linux/ppc64le',
  riscv64: 'linux/riscv64',
  s390x: 'linux/s390x',
};

const kernel: Readonly<Record<string, string>> = {
  aarch64: 'arm64',
  armv7l: 'armhf',
  i586: 'i386',
  i686: 'i386',
  loongarch64: 'loong64',
  ppc64le: 'ppc64el',
  x86_64: 'amd64',
};

/** `armhf` or `armv7l` → `linux/arm/v7`; `undefined` for a name that is not known. */
export function platformOfArch(arch: string): Platform | undefined {
  const name = Object.hasOwn(kernel, arch) ? kernel[arch]! : arch;
  return Object.hasOwn(debian, name) ? debian[name] : undefined;
}
