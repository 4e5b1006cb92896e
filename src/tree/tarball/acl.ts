/**
 * POSIX ACLs between their two forms: the text that tar archives carry and the binary xattr that the kernel keeps.
 * Sources: acl(5) for the text, linux/posix_acl_xattr.h for version 2 of the binary form.
 */
import { toText, type ByteString } from '../../core/bytes.ts';
import { CellarError } from '../../core/errors.ts';

/** A name's number, or `undefined`. */
export type ResolveName = (name: ByteString) => number | undefined;

export interface AclContext {
  readonly kind: 'access' | 'default';
  readonly path: ByteString;
  readonly resolveUser: ResolveName;
  readonly resolveGroup: ResolveName;
}

const version = 2;
const undefinedId = 0xffff_ffff;
const tags = { userOwner: 0x01, user: 0x02, groupOwner: 0x04, group: 0x08, mask: 0x10, other: 0x20 } as const;

interface AclEntry {
  readonly tag: number;
  readonly permissions: number;
  readonly id: number;
}

/**
 * The xattr's value; `undefined` for an access ACL that says no more than the mode. Long and short forms, comma or
 * newline between entries, names or numbers (a number after the permissions, as GNU tar and star add it, wins).
 * @throws E_TREE_INVALID for a name the tree's own accounts do not know, and for what is no ACL
 */
export function aclFromText(text: ByteString, context: AclContext): ByteString | undefined {
  const entries = text
    .split(/[,\n]/)
    .map((line) => line.replace(/#.*$/, '').trim())
    .filter((line) => line !== '')
    .map((line) => parseEntry(line, context));
  if (entries.length === 0) return undefined;
  if (
    context.kind === 'access' &&
    entries.every(({ tag }) => tag !== tags.user && tag !== tags.group && tag !== tags.mask)
  )
    return undefined;
  const problem = aclProblem(entries);
  if (problem !== undefined) throw invalid(context.path, `its ACL ${problem}`);
  return encode(entries);
}

/** @throws E_TREE_INVALID for a binary ACL that the kernel would refuse */
export function checkAcl(value: ByteString, path: ByteString): void {
  const problem = aclProblem(decode(value, path));
  if (problem !== undefined) throw invalid(path, `its ACL ${problem}`);
}

/** What the kernel demands, posix_acl_valid() in fs/posix_acl.c: owner, group and other once; a mask for the rest. */
function aclProblem(entries: readonly AclEntry[]): string | undefined {
  const count = (tag: number): number => entries.filter((entry) => entry.tag === tag).length;
  if ([tags.userOwner, tags.groupOwner, tags.other].some((tag) => count(tag) !== 1))
    return 'does not name owner, group and others once each';
  if (count(tags.mask) > 1) return 'has two masks';
  if (count(tags.user) + count(tags.group) > 0 && count(tags.mask) === 0) return 'has no mask';
  const known: readonly number[] = Object.values(tags);
  if (entries.some(({ tag, permissions }) => !known.includes(tag) || permissions > 7))
    return 'has an entry of a kind we do not know';
  const named = entries.filter(({ tag }) => tag === tags.user || tag === tags.group);
  if (named.some(({ id }) => id === undefinedId)) return 'has an entry for nobody';
  if (new Set(named.map(({ tag, id }) => `${tag}:${id}`)).size < named.length) return 'names somebody twice';
  return undefined;
}

function invalid(path: ByteString, problem: string): CellarError {
  return new CellarError('E_TREE_INVALID', { details: { path: toText(path), problem } });
}

/** Numeric short form, as `tar --acls` writes with `--numeric-owner`: `user::rw-,user:1000:r--,…`. @throws E_TREE_INVALID */
export function aclToText(value: ByteString, path: ByteString): ByteString {
  return decode(value, path)
    .map(({ tag, permissions, id }) => {
      const name =
        tag === tags.mask
          ? 'mask'
          : tag === tags.other
            ? 'other'
            : tag === tags.user || tag === tags.userOwner
              ? 'user'
              : 'group';
      const qualifier = tag === tags.user || tag === tags.group ? String(id) : '';
      return `${name}:${qualifier}:${['r', 'w', 'x'].map((letter, bit) => (permissions & (4 >> bit) ? letter : '-')).join('')}`;
    })
    .join(',');
}

function parseEntry(line: string, context: AclContext): AclEntry {
  const [type = '', qualifier = '', permissions = '', number] = line.replace(/^d(?:efault)?:/, '').split(':');
  const bits = parsePermissions(permissions);
  const isUser = type === 'user' || type === 'u';
  const isGroup = type === 'group' || type === 'g';
  if (bits !== undefined) {
    if (type === 'mask' || type === 'm') return { tag: tags.mask, permissions: bits, id: undefinedId };
    if (type === 'other' || type === 'o') return { tag: tags.other, permissions: bits, id: undefinedId };
    if (qualifier === '' && (isUser || isGroup))
      return { tag: isUser ? tags.userOwner : tags.groupOwner, permissions: bits, id: undefinedId };
    const id =
      isUser || isGroup
        ? resolve(number ?? qualifier, isUser ? context.resolveUser : context.resolveGroup)
        : undefined;
    if (id !== undefined) return { tag: isUser ? tags.user : tags.group, permissions: bits, id };
  }
  throw invalid(context.path, `its ACL entry '${toText(line)}' cannot be resolved in the tree`);
}

function resolve(name: string, lookUp: ResolveName): number | undefined {
  const id = /^\d{1,10}$/.test(name) ? Number(name) : lookUp(name);
  return id === undefined || id >= undefinedId ? undefined : id;
}

function parsePermissions(text: string): number | undefined {
  const letters = text.trim();
  if (/^[0-7]$/.test(letters)) return Number(letters);
  if (!/^[rwx-]{1,3}$/.test(letters)) return undefined;
  return (letters.includes('r') ? 4 : 0) | (letters.includes('w') ? 2 : 0) | (letters.includes('x') ? 1 : 0);
}

/** Entries in the kernel's order: by tag, then by id. */
function encode(entries: readonly AclEntry[]): ByteString {
  const sorted = entries.toSorted((a, b) => a.tag - b.tag || a.id - b.id);
  const value = Buffer.alloc(4 + 8 * sorted.length);
  value.writeUInt32LE(version, 0);
  sorted.forEach(({ tag, permissions, id }, at) => {
    value.writeUInt16LE(tag, 4 + 8 * at);
    value.writeUInt16LE(permissions, 6 + 8 * at);
    value.writeUInt32LE(id, 8 + 8 * at);
  });
  return value.toString('latin1');
}

function decode(value: ByteString, path: ByteString): AclEntry[] {
  const bytes = Buffer.from(value, 'latin1');
  if (bytes.length < 4 || (bytes.length - 4) % 8 !== 0 || bytes.readUInt32LE(0) !== version) {
    throw invalid(path, 'its ACL is not in a form we know');
  }
  return Array.from({ length: (bytes.length - 4) / 8 }, (_, at) => ({
    tag: bytes.readUInt16LE(4 + 8 * at),
    permissions: bytes.readUInt16LE(6 + 8 * at),
    id: bytes.readUInt32LE(8 + 8 * at),
  }));
}
