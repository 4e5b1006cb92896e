/**
 * Put a tree's inodes on disk, with two workers. Directories are made first (by this thread, while the workers
 * start), then all inodes, then further names of hard-linked ones, and at the end the directories' own metadata:
 * making a file in a directory changes its time, and a default ACL or a set-group-id bit would rub off.
 */
import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { toBytes, toText, type ByteString } from '../../core/bytes.ts';
import type { EventSink } from '../../core/events.ts';
import { toCellarError } from '../../sys/errno.ts';
import { lstatFull } from '../../sys/stat.ts';
import { removeInheritedAcls } from '../../sys/xattr.ts';
import type { Entry } from '../../tree/entry.ts';
import { startPool } from '../workers/pool.ts';
import type { MaterializeCounts } from './job.ts';
import { makePlan } from './plan.ts';

export interface MaterializeOptions {
  /** Root of the store. */
  readonly store: string;
  /** Absent, and made, unless `rootExists`. Its parent is on the file system that the method has found fit. */
  readonly target: ByteString;
  /** How content arrives; a reflink that cannot be made is a copy. */
  readonly content: 'link' | 'reflink' | 'copy';
  readonly privileged: boolean;
  /** Private directory on the store's file system. */
  readonly staging: string;
  /** Roughly how many entries will come. */
  readonly expected: number;
  /** See ContentContext; default none. */
  readonly hashNewer?: number;
  readonly separate?: boolean;
  readonly rootExists?: boolean;
  /** Directories among the entries may be there already, owned by us, without xattrs and not set-group-id. */
  readonly directoriesExist?: boolean;
  readonly clampTo?: number | undefined;
  readonly signal: AbortSignal;
  readonly events: EventSink;
}

/** @throws E_OBJECT_MISSING, E_OBJECT_DAMAGED, E_NO_SPACE, …; what was made until then is left for the caller */
export async function materialize(
  entries: () => readonly Entry[],
  options: MaterializeOptions,
): Promise<MaterializeCounts> {
  const { target, signal, events } = options;
  const doing = { doing: 'checking out', path: toText(target) };
  using pool = startPool(options.expected);
  try {
    const { store, content, staging, hashNewer = Infinity, separate = false, clampTo } = options;
    const all = entries();
    const plan = makePlan(all, { markRepeated: separate });
    const rights = { privileged: options.privileged, ...makeRoot(target, options), umask: process.umask() };
    const total = plan.inodes.count + plan.links.count + plan.directories.count;
    events({ type: 'step', step: 'materialize', label: 'writing files', unit: 'files', total });
    for (const { type, path } of all) {
      if (type !== 'directory' || path === '/') continue;
      const directory = toBytes(target + path);
      if (options.directoriesExist === true && existsSync(directory)) continue;
      mkdirSync(directory, 0o700);
    }
    const counts = await pool.run(
      'materialize',
      { plan, target, store, content, staging, hashNewer, separate, clampTo, rights },
      [
        { name: 'inodes', count: plan.inodes.count },
        { name: 'links', count: plan.links.count },
        { name: 'directories', count: plan.directories.count, sequential: !options.privileged },
      ],
      { signal, onProgress: (done) => events({ type: 'progress', step: 'materialize', done }) },
    );
    events({ type: 'step-end', step: 'materialize' });
    return counts;
  } catch (error) {
    throw toCellarError(error, doing);
  }
}

/** The root, private and without what its parent would hand down; and the owner that files get in it. */
function makeRoot(target: ByteString, options: { rootExists?: boolean }): { uid: number; gid: number } {
  if (options.rootExists !== true) mkdirSync(toBytes(target), 0o700);
  removeInheritedAcls(target);
  chmodSync(toBytes(target), 0o700);
  const { uid, gid } = lstatFull(target);
  return { uid, gid };
}
