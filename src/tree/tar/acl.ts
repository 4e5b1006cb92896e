/**
 * POSIX ACLs between their two forms: the text that tar archives carry and the binary xattr that the kernel keeps.
 * Sources: acl(5) for the text, linux/posix_acl_xattr.h for version 2 of the binary form.
 */
import { toText, type ByteString } from '../../core/bytes.ts';
import { CellarError } from '../../core/errors.ts';
import type { Xattrs } from '../entry.ts';

/** A name's number, or `undefined`. */
export type ResolveName = (name: ByteString) => number | undefined;

/** The tree's own passwd and group. */
export interface Accounts {
  readonly resolveUser: ResolveName;
  readonly resolveGroup: ResolveName;
}

export interface AclContext extends Accounts {
  readonly kind: 'access' | 'default';
  /** For messages. */
  readonly path: ByteString;
}

export const aclNames = { access: 'system.posix_acl_access', default: 'system.posix_acl_default' } as const;

const version = 2;
const noId = 0xffff_ffff;
/** What an xattr of 64 KiB, the largest there is, has room for. */
const mostEntries = 8191;
const tags = { userOwner: 0x01, user: 0x02, groupOwner: 0x04, group: 0x08, mask: 0x10, other: 0x20 } as const;

interface AclEntry {
  readonly tag: number;
  readonly permissions: number;
  readonly id: number;
}

/**
 * The xattr's value; `undefined` for an access ACL that says no more than the mode. Long and short forms, comma or
 * newline between entries, comments, names or numbers. A fourth field, which star and libarchive add, is the number
 * and wins over the name.
 * @throws E_TREE_INVALID for a name the tree's own accounts do not know, and for text that is no valid ACL
 */
export function aclFromText(text: ByteString, context: AclContext): ByteString | undefined {
  const entries = text
    .split(/[,\n]/)
    .map((line) => line.replace(/#.*$/s, '').trim())
    .filter((line) => line !== '')
    .map((line) => parseEntry(line, context))
    .sort((a, b) => a.tag - b.tag || a.id - b.id);
  if (entries.length === 0) return undefined;
  if (entries.length > mostEntries) throw invalid(context.path, `its ACL has over ${mostEntries} entries`);
  const isTwice = entries.some(
    ({ tag, id }, at) => entries[at + 1]?.tag === tag && entries[at + 1]?.id === id,
  );
  if (isTwice || !isValid(entries)) throw invalid(context.path, 'its ACL lacks an entry, or has one twice');
  if (context.kind === 'access' && entries.length === 3) return undefined;
  return encode(entries);
}

/**
 * Numeric short form, as `tar --acls` writes with `--numeric-owner`: `user::rw-,user:1000:r--,…`; `undefined` when the
 * value is none that {@link aclFromText} would give back.
 */
export function aclToText(value: ByteString, kind: AclContext['kind']): ByteString | undefined {
  const entries = decode(value);
  if (entries === undefined) return undefined;
  const text = entries.map(entryText).join(',');
  try {
    return aclFromText(text, { kind, path: '', resolveUser: nobody, resolveGroup: nobody }) === value
      ? text
      : undefined;
  } catch {
    return undefined;
  }
}

const nobody = (): undefined => undefined;

/** @throws E_TREE_INVALID for a binary ACL that the kernel would refuse */
export function checkAcl(value: ByteString, path: ByteString): void {
  const entries = decode(value);
  if (entries === undefined || !isValid(entries))
    throw invalid(path, 'its ACL is none that the kernel would take');
}

/** The mode as the kernel sets it together with an access ACL (posix_acl_update_mode): owner, mask or group, other. */
export function modeOfAcl(mode: number, xattrs: Xattrs): number {
  const value = xattrs.find(([name]) => name === 'system.posix_acl_access')?.[1];
  const entries = value === undefined ? undefined : decode(value);
  if (entries === undefined || !isValid(entries)) return mode;
  const of = (tag: number): number | undefined => entries.find((entry) => entry.tag === tag)?.permissions;
  const group = of(tags.mask) ?? of(tags.groupOwner);
  return (mode & 0o7000) | (of(tags.userOwner)! << 6) | (group! << 3) | of(tags.other)!;
}

/** What posix_acl_valid() in fs/posix_acl.c asks: in order of tags; owner, group and other once each; a mask for the rest. */
function isValid(entries: readonly AclEntry[]): boolean {
  const count = (tag: number): number => entries.filter((entry) => entry.tag === tag).length;
  const isOrdered = entries.every(({ tag, id, permissions }, at) => {
    const before = entries[at - 1];
    const isNamed = tag === tags.user || tag === tags.group;
    return permissions <= 7 && (!isNamed || id !== noId) && (before === undefined || before.tag <= tag);
  });
  const masks = count(tags.mask);
  const named = count(tags.user) + count(tags.group);
  return (
    isOrdered &&
    count(tags.userOwner) === 1 &&
    count(tags.groupOwner) === 1 &&
    count(tags.other) === 1 &&
    entries.length === 3 + named + masks &&
    (named === 0 || masks === 1)
  );
}

function parseEntry(line: string, context: AclContext): AclEntry {
  const fields = line
    .replace(/^d(?:efault)?:/, '')
    .split(':')
    .map((field) => field.trim());
  const [type = '', qualifier = '', last = '', number = ''] = fields;
  const isUser = type === 'user' || type === 'u';
  const isGroup = type === 'group' || type === 'g';
  const single =
    type === 'mask' || type === 'm' ? tags.mask : type === 'other' || type === 'o' ? tags.other : undefined;
  const permissions = parsePermissions(single !== undefined && fields.length === 2 ? qualifier : last);
  if (permissions !== undefined) {
    if (single !== undefined) return { tag: single, permissions, id: noId };
    if (qualifier === '' && (isUser || isGroup))
      return { tag: isUser ? tags.userOwner : tags.groupOwner, permissions, id: noId };
    const lookUp = isUser ? context.resolveUser : context.resolveGroup;
    const id = isUser || isGroup ? resolve(number === '' ? qualifier : number, lookUp) : undefined;
    if (id !== undefined && id < noId) return { tag: isUser ? tags.user : tags.group, permissions, id };
  }
  const shown = toText(line.slice(0, 200));
  throw invalid(
    context.path,
    permissions !== undefined && (isUser || isGroup)
      ? `its ACL names '${shown}', which the tree's own etc/${isUser ? 'passwd' : 'group'} does not know`
      : `its ACL has the malformed entry '${shown}'`,
  );
}

function invalid(path: ByteString, problem: string): CellarError {
  return new CellarError('E_TREE_INVALID', { details: { path: toText(path), problem } });
}

function resolve(name: string, lookUp: ResolveName): number | undefined {
  return /^\d{1,10}$/.test(name) ? Number(name) : lookUp(name);
}

function parsePermissions(text: string): number | undefined {
  if (/^[0-7]$/.test(text)) return Number(text);
  if (!/^[rwx-]{1,3}$/.test(text)) return undefined;
  return (text.includes('r') ? 4 : 0) | (text.includes('w') ? 2 : 0) | (text.includes('x') ? 1 : 0);
}

function entryText({ tag, permissions, id }: AclEntry): string {
  const bits = ['r', 'w', 'x'].map((letter, bit) => (permissions & (4 >> bit) ? letter : '-')).join('');
  if (tag === tags.mask) return `mask::${bits}`;
  if (tag === tags.other) return `other::${bits}`;
  return `${tag === tags.user || tag === tags.userOwner ? 'user' : 'group'}:${id === noId ? '' : id}:${bits}`;
}

/** Little-endian: version, then tag, permissions and id of each entry. */
function encode(entries: readonly AclEntry[]): ByteString {
  const value = Buffer.alloc(4 + 8 * entries.length);
  value.writeUInt32LE(version, 0);
  entries.forEach(({ tag, permissions, id }, at) => {
    value.writeUInt16LE(tag, 4 + 8 * at);
    value.writeUInt16LE(permissions, 6 + 8 * at);
    value.writeUInt32LE(id, 8 + 8 * at);
  });
  return value.toString('latin1');
}

function decode(value: ByteString): AclEntry[] | undefined {
  const bytes = Buffer.from(value, 'latin1');
  if (bytes.length < 4 || (bytes.length - 4) % 8 !== 0 || bytes.readUInt32LE(0) !== version) return undefined;
  return Array.from({ length: (bytes.length - 4) / 8 }, (_, at) => ({
    tag: bytes.readUInt16LE(4 + 8 * at),
    permissions: bytes.readUInt16LE(6 + 8 * at),
    id: bytes.readUInt32LE(8 + 8 * at),
  }));
}
