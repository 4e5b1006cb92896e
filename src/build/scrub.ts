/**
 * Takes out of a tree what must differ between the machines that run it. A machine id is left empty rather than absent:
 * systemd then makes a new one at the first boot, machine-id(5).
 */
import { readdirSync, truncateSync } from 'node:fs';
import { toBytes, type ByteString } from '../core/bytes.ts';
import { lstatFull } from '../sys/stat.ts';
import { resolveInside, statInside } from './inside.ts';
import { putContent, removeInside } from './put.ts';
import type { Identity } from './recipe.ts';

export function scrub(root: ByteString, what: readonly Identity[]): void {
  for (const identity of what) {
    for (const path of removed[identity] ?? []) for (const one of expand(root, path)) removeInside(root, one);
    if (identity === 'machine-id') emptyMachineId(root);
    if (identity === 'logs') emptyLogs(root, '/var/log');
  }
}

/** A `*` stands for any part of a name. */
const removed: Readonly<Partial<Record<Identity, readonly ByteString[]>>> = {
  ssh: ['/etc/ssh/ssh_host_*_key', '/etc/ssh/ssh_host_*_key.pub', '/root/.ssh/known_hosts'],
  hostname: ['/etc/hostname'],
  random: [
    ...['/var/lib/systemd/random-seed', '/var/lib/systemd/credential.secret', '/var/lib/urandom/random-seed'],
    '/var/lib/NetworkManager/secret_key',
  ],
  leases: ['/var/lib/dhcp/*.leases', '/var/lib/NetworkManager/*.lease', '/var/lib/cloud/instance'],
  history: ['/root/.bash_history', '/root/.lesshst', '/root/.viminfo', '/root/.python_history'],
  logs: ['/var/log/journal/*', '/var/cache/ldconfig/aux-cache', '/var/log/*.gz', '/var/log/*.old'],
};

/** D-Bus' own is most often a symlink to that of systemd; a file of its own goes. */
function emptyMachineId(root: ByteString): void {
  const dbus = '/var/lib/dbus/machine-id';
  if (statInside(resolveInside(root, dbus))?.isFile() === true) removeInside(root, dbus);
  if (statInside(resolveInside(root, '/etc/machine-id')) === undefined) return;
  putContent(root, '/etc/machine-id', '', { owner: { uid: 0, gid: 0 }, mode: 0o444 });
}

function emptyLogs(root: ByteString, directory: ByteString): void {
  const place = resolveInside(root, directory, { followLast: true });
  if (statInside(place)?.isDirectory() !== true) return;
  for (const entry of readdirSync(toBytes(place), { encoding: 'latin1', withFileTypes: true })) {
    const one = `${place}/${entry.name}`;
    if (entry.isDirectory()) emptyLogs(root, `${directory}/${entry.name}`);
    else if (entry.isFile() && lstatFull(one).size > 0) truncateSync(toBytes(one));
  }
}

function expand(root: ByteString, path: ByteString): ByteString[] {
  if (!path.includes('*')) return [path];
  const slash = path.lastIndexOf('/');
  const directory = path.slice(0, slash);
  const place = resolveInside(root, directory, { followLast: true });
  if (statInside(place)?.isDirectory() !== true) return [];
  const pattern = new RegExp(
    `^${path
      .slice(slash + 1)
      .replaceAll('.', '\\.')
      .replaceAll('*', '.*')}$`,
  );
  return readdirSync(toBytes(place), { encoding: 'latin1' })
    .filter((name) => pattern.test(name))
    .map((name) => `${directory}/${name}`);
}
