/** Worker side of materialize: makes inodes, then further names, then finishes directories. */
import { linkSync, symlinkSync } from 'node:fs';
import { toBytes, type ByteString } from '../../core/bytes.ts';
import { formatBits } from '../../tree/entry.ts';
import { isErrno } from '../../sys/errno.ts';
import { mknod } from '../../sys/metadata.ts';
import { placeFile, type ContentContext } from './content.ts';
import { setPathMetadata, type Rights, type SkippedCounts } from './metadata.ts';
import { itemReader, type Item, type Plan } from './plan.ts';

export interface MaterializeInput {
  readonly plan: Plan;
  /** Existing directory that becomes the root of the tree; no slash at its end. */
  readonly target: ByteString;
  readonly store: string;
  readonly content: ContentContext['content'];
  readonly hashNewer: number;
  readonly separate: boolean;
  readonly clampTo: number | undefined;
  readonly staging: string;
  readonly rights: Rights;
}

export interface MaterializeCounts extends SkippedCounts {
  variants: number;
  /** Objects hashed because they are newer than `hashNewer`. */
  hashed: number;
}

export type MaterializePhase = 'inodes' | 'links' | 'directories';

export function materializeJob(input: MaterializeInput): {
  work: (phase: string, from: number, to: number) => void;
  counts: () => MaterializeCounts;
} {
  const { plan, target, rights } = input;
  const skipped: SkippedCounts = { owners: 0, devices: 0, xattrs: 0 };
  const context: ContentContext = { ...input, skipped, made: { variants: 0, hashed: 0 } };
  const readers = {
    inodes: itemReader(plan.inodes),
    links: itemReader(plan.links),
    directories: itemReader(plan.directories),
  };
  const work: Record<MaterializePhase, (index: number) => void> = {
    inodes: (index) => makeInode(context, readers.inodes(index), target),
    links: (index) => makeLink(context, readers.links(index), target),
    // Children before parents, so that a directory we may not search is closed after what is in it.
    directories: (index) => {
      const item = readers.directories(plan.directories.count - 1 - index);
      setPathMetadata(pathOf(target, item), item, { rights, symlink: false, skipped });
    },
  };
  return {
    work(phase, from, to) {
      const one = work[phase as MaterializePhase];
      for (let index = from; index < to; index++) one(index);
    },
    counts() {
      const counts = { ...skipped, ...context.made };
      Object.assign(skipped, { owners: 0, devices: 0, xattrs: 0 });
      Object.assign(context.made, { variants: 0, hashed: 0 });
      return counts;
    },
  };
}

function makeInode(context: ContentContext, item: Item, target: ByteString): void {
  const path = pathOf(target, item);
  if (item.format === formatBits.file) {
    placeFile(context, item, path);
    return;
  }
  const { rights, skipped } = context;
  const symlink = item.format === formatBits.symlink;
  if (symlink) symlinkSync(toBytes(item.target), toBytes(path));
  else if (!makeNode(context, item, path)) return;
  setPathMetadata(path, item, { rights, symlink, skipped });
}

function makeNode({ rights, skipped }: ContentContext, item: Item, path: ByteString): boolean {
  const device = item.format === formatBits.char || item.format === formatBits.block;
  if (device && !rights.privileged) {
    skipped.devices++;
    return false;
  }
  try {
    mknod(path, item.format | (item.mode & 0o777), item.rdev);
    return true;
  } catch (error) {
    // Root of a container has no right to make devices.
    if (!device || !isErrno(error, 'EPERM')) throw error;
    skipped.devices++;
    return false;
  }
}

function makeLink({ skipped }: ContentContext, item: Item, target: ByteString): void {
  try {
    linkSync(toBytes(target + item.target), toBytes(pathOf(target, item)));
  } catch (error) {
    if (!isErrno(error, 'ENOENT') || skipped.devices === 0) throw error;
    skipped.devices++;
  }
}

function pathOf(target: ByteString, item: Item): ByteString {
  return item.path === '/' ? target : target + item.path;
}
