/**
 * btrfs: a snapshot of a subvolume that holds the tree. The subvolume is made once per image by reflinks; every
 * checkout after that is one call, whatever the size.
 */
import { fromText, toBytes, toText, type ByteString } from '../core/bytes.ts';
import { CellarError, isCellarError } from '../core/errors.ts';
import { removeTree } from '../store/remove-tree.ts';
import { filesystemOf } from '../sys/filesystem.ts';
import { tryVolumeProgram } from '../sys/volume-program.ts';
import { hashNewer, materializeAt } from './beside.ts';
import { ensureBase } from './base.ts';
import { no, yes, type CheckoutMethod } from './port.ts';
import { findProgram } from '../sys/programs.ts';
import { parentPath } from '../tree/entry.ts';
import { buildPath, publish } from './target.ts';
import { canReflink } from './trial.ts';

export const btrfs: CheckoutMethod = {
  name: 'btrfs',
  hasQuota: true,
  available({ store, staging, target }) {
    const { type } = filesystemOf(fromText(staging));
    if (type !== 'btrfs') return no(`the store is on ${type}`);
    if (!store.privileged) return no('subvolumes are deleted by root');
    if (findProgram('btrfs') === undefined) return no('the program btrfs is not installed');
    return canReflink(fromText(staging), parentPath(target))
      ? yes
      : no('the directory is on another file system');
  },
  async checkout(request) {
    const base = await ensureBase(request, 'subvolumes', (tree) => {
      run('subvolume', 'create', tree);
      return materializeAt(request, tree, {
        content: 'reflink',
        hashNewer: hashNewer(request),
        rootExists: true,
      });
    });
    const built = buildPath(request);
    run('subvolume', 'snapshot', ...(request.writable ? [] : ['-r']), base.path, built);
    if (request.quota !== undefined) limit(built, request.quota);
    return { skipped: base.skipped, madeTarget: publish(request, built) };
  },
  async remove(_store, row) {
    removeTree(row.path);
  },
};

/** Counts what is shared with the base, too. A limit that was asked for and cannot be set is an error, not a reason. */
function limit(path: ByteString, bytes: number): void {
  try {
    run('qgroup', 'limit', String(bytes), path);
  } catch (cause) {
    if (!isCellarError(cause, 'E_METHOD_UNAVAILABLE')) throw cause;
    throw new CellarError('E_QUOTA_UNSUPPORTED', {
      details: { method: 'btrfs', problem: String(cause.details['problem']) },
      hint: `turn quotas on there first: btrfs quota enable ${toText(parentPath(path))}`,
      cause,
    });
  }
}

/** @throws E_METHOD_UNAVAILABLE with what the program said */
function run(...words: string[]): void {
  const paths = words.map((word) => toBytes(word).toString('utf8'));
  const { status, problem, cause } = tryVolumeProgram('btrfs', paths);
  if (status === 0) return;
  throw new CellarError('E_METHOD_UNAVAILABLE', { details: { method: 'btrfs', problem }, cause });
}
