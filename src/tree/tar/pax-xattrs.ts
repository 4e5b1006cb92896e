/** One list of extended attributes from the several ways archivers write them. */
import type { ByteString } from '../../core/bytes.ts';
import { noXattrs, type Xattrs } from '../entry.ts';
import type { PaxRecords } from './pax.ts';

/** Sorted by name; a local header's attribute wins over a global one's. */
export function xattrsOf(local: PaxRecords | undefined, global: PaxRecords | undefined): Xattrs {
  if (!hasAny(local) && !hasAny(global)) return noXattrs;
  const all = new Map<ByteString, ByteString>();
  if (global !== undefined) addXattrs(global, all);
  if (local !== undefined) addXattrs(local, all);
  return [...all].sort(([a], [b]) => (a < b ? -1 : 1));
}

function hasAny(records: PaxRecords | undefined): boolean {
  return (
    records !== undefined &&
    (records.xattrs !== undefined || records.encodedXattrs !== undefined || records.seLinux !== undefined)
  );
}

/**
 * GNU tar escapes `%` and `=` in the names of SCHILY records. libarchive does not, but writes each attribute a second
 * time with its name encoded: so where those are, they tell the names.
 */
function addXattrs({ xattrs, encodedXattrs, seLinux }: PaxRecords, into: Map<ByteString, ByteString>): void {
  if (seLinux !== undefined) into.set('security.selinux', `${seLinux}\0`);
  for (const [name, value] of encodedXattrs ?? []) into.set(name, value);
  for (const [name, value] of xattrs ?? []) {
    if (encodedXattrs === undefined) into.set(name.replaceAll('%3D', '=').replaceAll('%25', '%'), value);
    else if (encodedXattrs.has(name)) into.set(name, value);
  }
}

/** The keyword of an attribute as GNU tar writes it: what would end a keyword, and the escape itself, are escaped. */
export function xattrKeyword(name: ByteString): ByteString {
  return `SCHILY.xattr.${name.replaceAll('%', '%25').replaceAll('=', '%3D')}`;
}
