/** From a name in an archive to a path in the tree, or why it cannot be one. */
import type { ByteString } from '../../core/bytes.ts';

/** Bounds of the kernel (linux/limits.h: NAME_MAX, PATH_MAX less its NUL). */
const longestComponent = 255;
export const longestPath = 4095;

/** Absolute within the tree. Leading `/` and `./` go, as in tar; doubled slashes and `.` do not matter; `..` stays. */
export function cleanName(name: ByteString): ByteString {
  if (name.length > 2 && name.startsWith('./')) {
    const rest = name.slice(1);
    if (!isUnusual.test(rest)) return rest;
    if (rest.endsWith('/') && rest.length > 1) {
      const directory = rest.slice(0, -1);
      if (!isUnusual.test(directory)) return directory;
    }
  } else {
    const path = `/${name}`;
    if (!isUnusual.test(path)) return path;
  }
  return `/${name
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')}`;
}

/** A slash, then nothing or a dot and nothing: what cleaning would change. */
const isUnusual = /\/(?:\.?\/|\.?$)/;

/** Why a clean name can be no path in a tree. */
export function nameProblem(path: ByteString): string | undefined {
  if (path.includes('/..') && /\/\.\.(?:\/|$)/.test(path)) return "'..' in its name";
  if (path.includes('\0')) return 'its name has a NUL';
  if (path.length > longestComponent) {
    if (path.length > longestPath) return `its name is longer than ${longestPath} bytes`;
    if (path.split('/').some((part) => part.length > longestComponent))
      return `a part of its name is longer than ${longestComponent} bytes`;
  }
  return undefined;
}
