/** What makes one machine of an image: small steps that write the files in which a machine keeps who it is. */
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fromText, toBytes, toText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { accountIn } from './accounts.ts';
import type { Owner } from '../core/ownership.ts';
import { makeParents, resolveInside, statInside } from './inside.ts';
import { readInstallList } from './install-list.ts';
import { putContent, putPath } from './put.ts';
import type { Configure, Network } from './recipe.ts';

interface Setting {
  readonly root: ByteString;
  /** What `install` is relative to. */
  readonly directory: string;
  readonly clock: number | undefined;
}

const superuser: Owner = { uid: 0, gid: 0 };

/** All but `ssh-keys`, which takes a command of the tree. @throws E_TREE_INVALID, E_SOURCE_NOT_FOUND, E_CONFIG */
export function configureTree(setting: Setting, configure: Configure): void {
  const put = (path: ByteString, content: string, mode = 0o644): void =>
    putContent(setting.root, path, content, { owner: superuser, mode, clock: setting.clock });
  const { hostname, hosts, fstab, network, authorized_keys: keys } = configure;
  const machineId = configure['machine-id'];
  if (hostname !== undefined) put('/etc/hostname', `${hostname}\n`);
  if (machineId !== undefined)
    put('/etc/machine-id', `${machineId === 'new' ? newMachineId() : machineId}\n`, 0o444);
  if (hosts !== undefined) put('/etc/hosts', withHosts(textIn(setting.root, '/etc/hosts'), hosts));
  if (fstab !== undefined) put('/etc/fstab', withLines(textIn(setting.root, '/etc/fstab'), fstab));
  for (const [index, one] of (network ?? []).entries())
    put(`/etc/systemd/network/${50 + index}-${fileName(one.interface)}.network`, networkUnit(one));
  for (const [user, lines] of Object.entries(keys ?? {})) authorise(setting, user, lines);
  for (const list of configure.install ?? []) install(setting, resolve(setting.directory, list));
}

/** machine-id(5): a version 4 UUID without its dashes. */
function newMachineId(): string {
  const bytes = randomBytes(16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex');
}

function textIn(root: ByteString, path: ByteString): string {
  const place = resolveInside(root, path, { followLast: true });
  return statInside(place)?.isFile() === true ? readFileSync(toBytes(place), 'utf8') : '';
}

/** An address that is there already gets the names given here instead. */
function withHosts(text: string, hosts: Readonly<Record<string, readonly string[]>>): string {
  const kept = lines(text).filter((line) => !Object.hasOwn(hosts, line.trim().split(/\s+/)[0]!));
  const added = Object.entries(hosts).map(([address, names]) => `${address}\t${names.join(' ')}`);
  return [...kept, ...added, ''].join('\n');
}

function withLines(text: string, added: readonly string[]): string {
  const kept = lines(text);
  return [...kept, ...added.filter((line) => !kept.includes(line)), ''].join('\n');
}

function lines(text: string): string[] {
  return text
    .replace(/\n+$/, '')
    .split('\n')
    .filter((line, _at, all) => all.length > 1 || line !== '');
}

function fileName(name: string): string {
  return name.replace(/[*?]/g, 'any');
}

/** systemd.network(5). */
function networkUnit({ interface: name, dhcp, address = [], gateway = [], dns = [] }: Network): string {
  const settings = [
    ...(dhcp === true ? ['DHCP=yes'] : []),
    ...address.map((one) => `Address=${one}`),
    ...gateway.map((one) => `Gateway=${one}`),
    ...dns.map((one) => `DNS=${one}`),
  ];
  return ['[Match]', `Name=${name}`, '', '[Network]', ...settings, ''].join('\n');
}

function authorise({ root, clock }: Setting, user: string, keys: readonly string[]): void {
  const { home, uid, gid } = accountIn(root, user);
  const directory = resolveInside(root, `${home}/.ssh`, { followLast: true });
  if (statInside(directory) === undefined) {
    makeParents(directory);
    mkdirSync(toBytes(directory));
    chmodSync(toBytes(directory), 0o700);
    chownSync(toBytes(directory), uid, gid);
  }
  const path = `${home}/.ssh/authorized_keys`;
  putContent(root, path, withLines(textIn(root, path), keys), { owner: { uid, gid }, mode: 0o600, clock });
}

/** The files lie beside the list, under the paths that they get in the tree. */
function install({ root, clock }: Setting, list: string): void {
  for (const { path, mode, uid, gid, overwrite } of readInstallList(list)) {
    const there = statInside(resolveInside(root, path));
    if (there !== undefined && !overwrite && !there.isDirectory())
      throw new CellarError('E_TREE_INVALID', {
        details: { path: toText(path), problem: 'it is there already' },
        hint: `write 'overwrite' before its line in ${list}`,
      });
    const source = `${fromText(dirname(list))}${path}`;
    if (statInside(source)?.isDirectory() === true) makeDirectory(root, path, { mode, uid, gid });
    else putPath(root, path, source, { owner: { uid, gid }, mode: mode & 0o7777, clock });
  }
}

function makeDirectory(
  root: ByteString,
  path: ByteString,
  { mode, uid, gid }: Owner & { mode: number },
): void {
  const place = resolveInside(root, path, { followLast: true });
  makeParents(place);
  if (statInside(place) === undefined) mkdirSync(toBytes(place));
  chownSync(toBytes(place), uid, gid);
  chmodSync(toBytes(place), mode & 0o7777);
}
