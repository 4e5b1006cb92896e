/** Which file system a path is on, from the magic number of statfs(2) and, for FUSE, from mountinfo. */
import { realpathSync, statfsSync } from 'node:fs';
import { fromBytes, toBytes, type ByteString } from '../core/bytes.ts';
import { mountOf } from './mountinfo.ts';

export interface Filesystem {
  /** As in /proc/filesystems (`ext4`, `xfs`, `btrfs`, `tmpfs`, `fuse.sshfs`), or `0x…` for a magic we do not know. */
  readonly type: string;
  /** Other machines may write to it: locks and renames are not safe enough for a store. */
  readonly network: boolean;
}

/** @throws Node's ENOENT, EACCES when the path cannot be reached */
export function filesystemOf(path: ByteString): Filesystem {
  const magic = statfsSync(toBytes(path)).type;
  const known = magics.get(magic);
  const type = known === 'fuse' ? fuseType(path) : (known ?? `0x${magic.toString(16)}`);
  return { type, network: networkTypes.has(type) };
}

/** Magic numbers of linux/magic.h and statfs(2). ext2 and ext3 share that of ext4. */
const magics: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
  [0x794c7630, 'overlay'],
  [0xe0f5e1e2, 'erofs'],
  [0x73717368, 'squashfs'],
  [0x2fc12fc1, 'zfs'],
  [0xf2f52010, 'f2fs'],
  [0xca451a4e, 'bcachefs'],
  [0x52654973, 'reiserfs'],
  [0x3153464a, 'jfs'],
  [0x4d44, 'vfat'],
  [0x2011bab0, 'exfat'],
  [0x7366746e, 'ntfs3'],
  [0x9660, 'iso9660'],
  [0x9fa0, 'proc'],
  [0x62656572, 'sysfs'],
  [0x65735546, 'fuse'],
  [0x6969, 'nfs'],
  [0x517b, 'smbfs'],
  [0xff534d42, 'cifs'],
  [0xfe534d42, 'smb2'],
  [0x01021997, '9p'],
  [0x00c36400, 'ceph'],
  [0x5346414f, 'afs'],
  [0x6b414653, 'afs'],
  [0x0bd00bd0, 'lustre'],
  [0x01161970, 'gfs2'],
  [0x7461636f, 'ocfs2'],
  [0x73757245, 'coda'],
  [0x786f4256, 'vboxsf'],
  [0xbacbacbc, 'vmhgfs'],
]);

const networkTypes: ReadonlySet<string> = new Set([
  'nfs',
  '9p',
  'smbfs',
  'cifs',
  'smb2',
  'ceph',
  'afs',
  'lustre',
  'gfs2',
  'ocfs2',
  'coda',
  'vboxsf',
  'vmhgfs',
  'fuse.sshfs',
  'fuse.glusterfs',
  'fuse.ceph',
  'fuse.ceph-fuse',
  'fuse.s3fs',
  'fuse.rclone',
  'fuse.gcsfuse',
  'fuse.davfs',
  'fuse.curlftpfs',
  'fuse.juicefs',
  'fuse.moosefs',
  'fuse.mfs',
  'fuse.seaweedfs',
]);

/** All FUSE file systems share one magic; the mount that covers the path tells them apart. */
function fuseType(path: ByteString): string {
  return mountOf(fromBytes(realpathSync.native(toBytes(path), 'buffer')))?.type ?? 'fuse';
}
