/**
 * A tree of any size, the same on every machine: what digests are recorded for and what scaling is measured on.
 * It has every kind of entry, names on both sides of `/` and `.`, hard links, shared and single xattrs.
 */
import { sha256 } from '../../src/core/digest.ts';
import { impliedDirectory, noXattrs, type Entry, type Xattrs } from '../../src/tree/entry.ts';

const label: Xattrs = [['security.selinux', 'system_u:object_r:usr_t:s0\0']];
const both: Xattrs = [...label, ['user.origin', 'generated']];
const root: Entry = { ...impliedDirectory('/'), mtime: 1_600_000_000, xattrs: label };
const separators = ['', '-', '.', '+', '!', '~', ' ', '\xe9'] as const;

/** About `count` canonical entries. */
export function generatedTree(count: number): Entry[] {
  const entries: Entry[] = [root];
  const groups = Math.ceil(count / 100);
  for (let group = 0; group < groups; group++) {
    const above = group % 7 === 0 ? '' : `/top${separators[group % 7]}${group % 50}`;
    addDirectory(entries, above, group);
  }
  const paths = new Map(entries.map((entry) => [entry.path, entry]));
  return [...paths.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function addDirectory(entries: Entry[], above: string, group: number): void {
  const path = `${above}/d${group.toString(36)}`;
  if (above !== '') entries.push({ ...root, path: above, mode: 0o751, mtimeNsec: 7 });
  entries.push({ ...root, path, mtime: root.mtime + group, xattrs: group % 3 === 0 ? both : label });
  for (let item = 0; item < 98; item++) {
    const name = `${path}/${'n'.repeat(item % 23)}${separators[item % 8]}${item}`;
    const entry = makeEntry(name, group * 100 + item);
    entries.push(entry);
    if (item % 20 === 9) entries.push({ ...entry, path: `${name}~link`, hardlink: name });
  }
}

function makeEntry(path: string, number: number): Entry {
  const base = {
    ...root,
    path,
    mode: 0o644 + (number % 5 === 0 ? 0o111 : 0),
    mtime: root.mtime + (number % 3) * 60,
  };
  const kind = number % 29;
  if (kind === 0)
    return {
      ...base,
      type: 'symlink',
      mode: 0o777,
      target: 't'.repeat(1 + (number % 300)),
      size: 1 + (number % 300),
    };
  if (kind === 1) return { ...base, type: 'char', rdev: 0x103 + kind, gid: 6 };
  if (kind === 2) return { ...base, type: number % 2 === 0 ? 'fifo' : 'socket', xattrs: noXattrs };
  if (kind === 3) return { ...base, type: 'file', uid: 1000 + number };
  const xattrs: Xattrs = kind === 4 ? [...label, ['user.number', String(number)]] : label;
  const digest = sha256(String(number % 5000));
  return { ...base, type: 'file', size: 1 + (number % 5000) ** 2, digest, xattrs };
}
