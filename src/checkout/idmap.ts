/**
 * Shifting owners for a container: `--idmap CONTAINER:HOST:LENGTH` shows an inode of container id CONTAINER+n as host id
 * HOST+n. Mounts leave that to the kernel (an id-mapped EROFS layer); methods that write inodes shift the entries.
 * ACLs and file capabilities hold ids too.
 */
import { fromBytes, toBytes, toText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import type { Entry, Xattrs } from '../tree/entry.ts';

export interface IdMap {
  readonly container: number;
  readonly host: number;
  readonly length: number;
}

/** @throws E_USAGE */
export function parseIdMap(text: string): IdMap {
  const match = /^(\d{1,10}):(\d{1,10}):(\d{1,10})$/.exec(text);
  const [container, host, length] = (match ?? []).slice(1).map(Number);
  const last = 2 ** 32 - 1;
  const valid = length !== undefined && length > 0 && container! + length <= last && host! + length <= last;
  if (!valid)
    throw new CellarError('E_USAGE', {
      details: { problem: `'${text}' is no id map` },
      hint: 'write CONTAINER:HOST:LENGTH, for instance 0:100000:65536',
    });
  return { container: container!, host: host!, length };
}

export function formatIdMap({ container, host, length }: IdMap): string {
  return `${container}:${host}:${length}`;
}

/** @throws E_USAGE when an owner lies outside the map: the kernel would show it as nobody, and so lose it */
export function shiftEntry(entry: Entry, map: IdMap): Entry {
  return {
    ...entry,
    uid: shiftId(entry.uid, map, entry.path),
    gid: shiftId(entry.gid, map, entry.path),
    xattrs: entry.xattrs.length === 0 ? entry.xattrs : shiftXattrs(entry.xattrs, map, entry.path),
  };
}

export function shiftId(id: number, { container, host, length }: IdMap, path: ByteString): number {
  if (id >= container && id < container + length) return id - container + host;
  throw new CellarError('E_USAGE', {
    details: {
      problem: `owner ${id} of ${toText(path)} is outside the id map ${formatIdMap({ container, host, length })}`,
    },
    hint: 'give a longer map',
  });
}

export function shiftXattrs(xattrs: Xattrs, map: IdMap, path: ByteString): Xattrs {
  return xattrs.map(([name, value]) => {
    if (name.startsWith('system.posix_acl_')) return [name, shiftAcl(value, map, path)];
    if (name === 'security.capability') return [name, shiftCapability(value, map, path)];
    return [name, value];
  });
}

/** ACL_USER and ACL_GROUP entries name ids. Layout: u32 version 2, then {u16 tag, u16 permissions, u32 id} each. */
function shiftAcl(value: ByteString, map: IdMap, path: ByteString): ByteString {
  const bytes = toBytes(value);
  for (let at = 4; at + 8 <= bytes.length; at += 8) {
    const tag = bytes.readUInt16LE(at);
    if (tag === 0x02 || tag === 0x08)
      bytes.writeUInt32LE(shiftId(bytes.readUInt32LE(at + 4), map, path), at + 4);
  }
  return fromBytes(bytes);
}

/** `struct vfs_ns_cap_data` (linux/capability.h): revision 3 is revision 2 with the root id of its namespace behind. */
function shiftCapability(value: ByteString, map: IdMap, path: ByteString): ByteString {
  const bytes = toBytes(value);
  if (bytes.length < 20) return value;
  const revision = bytes.readUInt32LE(0);
  const rootId = bytes.length >= 24 ? bytes.readUInt32LE(20) : 0;
  const shifted = Buffer.alloc(24);
  bytes.copy(shifted, 0, 0, 20);
  shifted.writeUInt32LE((0x03000000 | (revision & 0xffffff)) >>> 0, 0);
  shifted.writeUInt32LE(shiftId(rootId, map, path), 20);
  return fromBytes(shifted);
}
