/** Where LXC keeps its containers on this machine, which of them run, and which use a directory of another. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { childProcess } from '../../sys/child-process.ts';
import { readableNames } from '../../sys/directory.ts';
import { isErrno } from '../../sys/errno.ts';
import { rootfsOf } from './definition.ts';

/** `$CELLAR_LXC_PATH`, else what lxc-config(1) says. */
export function lxcPath(): string {
  return process.env['CELLAR_LXC_PATH'] ?? configured('lxc.lxcpath') ?? '/var/lib/lxc';
}

/** Settings for every new container of this machine; nothing where there are none. */
export function lxcDefaults(): string {
  return readText(configured('lxc.default_config') ?? '/etc/lxc/default.conf') ?? '';
}

/** Names of containers with a definition. */
export function lxcContainers(path: string): string[] {
  return readableNames(path)
    .filter((name) => existsSync(join(path, name, 'config')))
    .toSorted();
}

/** Its monitor listens on a socket that has the container's name. */
export function isLxcRunning(path: string, name: string): boolean {
  const wanted = `@${path}/${name}/command`;
  return (readText('/proc/net/unix') ?? '').split('\n').some((line) => line.endsWith(` ${wanted}`));
}

/** Containers, `except` left out, whose root is laid over this directory: `lxc-copy --snapshot` makes such. */
export function clonesOf(directory: string, { path, except }: { path: string; except: string }): string[] {
  return lxcContainers(path).filter((name) => {
    if (name === except) return false;
    const rootfs = rootfsOf(readText(join(path, name, 'config')) ?? '') ?? '';
    return rootfs.split(':').includes(directory);
  });
}

/**
 * `undefined` where there is no such file. One that is there and cannot be read is an error: taken for absent, a
 * container's definition would be written anew.
 */
export function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

function configured(key: string): string | undefined {
  const done = childProcess().spawnSync('lxc-config', [key], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const value = done.status === 0 ? done.stdout.trim() : '';
  return value.startsWith('/') ? value : undefined;
}
