/** Users and groups as a tree's own passwd and group name them; the machine's mean nothing there. */
import { readFileSync } from 'node:fs';
import { fromText, toBytes, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import type { Owner } from '../core/ownership.ts';
import { resolveInside, statInside } from './inside.ts';

export interface Account extends Owner {
  /** In the tree. */
  readonly home: ByteString;
}

/** Of `user[:group]`, by name or number; the group defaults to the user's own, or the number. @throws E_TREE_INVALID */
export function ownerIn(root: ByteString, text: string): Owner {
  const [user = '', group] = text.split(':');
  const account = /^\d+$/.test(user) ? undefined : accountIn(root, user);
  const uid = account?.uid ?? Number(user);
  if (group === undefined) return { uid, gid: account?.gid ?? uid };
  return { uid, gid: /^\d+$/.test(group) ? Number(group) : groupIn(root, group) };
}

/** @throws E_TREE_INVALID for a user whom the tree does not know */
export function accountIn(root: ByteString, name: string): Account {
  const fields = lineOf(root, '/etc/passwd', name);
  return { uid: Number(fields[2]), gid: Number(fields[3]), home: fields[5] || '/' };
}

function groupIn(root: ByteString, name: string): number {
  return Number(lineOf(root, '/etc/group', name)[2]);
}

function lineOf(root: ByteString, path: ByteString, name: string): string[] {
  const place = resolveInside(root, path, { followLast: true });
  const text = statInside(place)?.isFile() === true ? readFileSync(toBytes(place), 'latin1') : '';
  const found = text
    .split('\n')
    .map((line) => line.split(':'))
    .find(([first]) => first === fromText(name));
  if (found !== undefined) return found;
  throw new CellarError('E_TREE_INVALID', { details: { path, problem: `it knows no '${name}'` } });
}
