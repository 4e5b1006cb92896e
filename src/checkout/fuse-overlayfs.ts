/**
 * fuse-overlayfs: the writable checkout for users without root whose file system has no reflinks. A daemon shows an upper
 * over hard links inside the store; it keeps the checkout's owner as owner of everything.
 */
import { toBytes, toText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { mountsOf } from '../store/checkout-mounts.ts';
import { removeTree } from '../store/remove-tree.ts';
import { baseOf, ensureBase } from './base.ts';
import { hashNewer, materializeAt } from './beside.ts';
import { no, yes, type CheckoutMethod } from './port.ts';
import { upperHome } from './private.ts';
import { childProcess } from '../sys/child-process.ts';
import { canUseFuse } from '../sys/fuse.ts';
import { findProgram } from '../sys/programs.ts';
import { checkTarget, makeMountPoint } from './target.ts';
import { unmountCheckout } from './unmount.ts';
import { makeUpper, upperOf, type Upper } from './upper.ts';

export const fuseOverlayfs: CheckoutMethod = {
  name: 'fuse-overlayfs',
  available({ writable, treeRow }) {
    if (!writable) return no('it is for writable checkouts');
    if (treeRow.traits.whiteouts)
      return no('the tree holds character devices 0:0, which overlays take for deletions');
    if (treeRow.traits.overlayXattrs) return no('the tree holds overlay xattrs, which it would interpret');
    for (const program of ['fuse-overlayfs', 'fusermount3'])
      if (findProgram(program) === undefined) return no(`the program ${program} is not installed`);
    return canUseFuse() ? yes : no('/dev/fuse cannot be opened');
  },
  async checkout(request) {
    const { target, note } = request;
    // It takes such names, in any layer, for deletions of the aufs kind.
    if (request.entries().some(({ path }) => path.includes('/.wh.')))
      throw unavailable("the tree holds names that begin with '.wh.', which it takes for deletions");
    const base = await ensureBase(request, 'base', (tree) =>
      materializeAt(request, tree, { content: 'link', hashNewer: hashNewer(request), separate: true }),
    );
    checkTarget(target);
    const upper = makeUpper(request, base.path);
    const madeTarget = makeMountPoint(request);
    note({ undo: 'unmount', path: target });
    show({ lower: base.path, upper, target });
    return { skipped: base.skipped, madeTarget };
  },
  unmount(store, row, options) {
    if (store.privileged) unmountCheckout(row, options);
    else if (mountsOf(row).length > 0) fusermount(row.path, options.force);
  },
  async remove(store, row) {
    removeTree(upperHome(store, row.id));
  },
  async remount(store, row) {
    show({ lower: baseOf(store, 'base', row), upper: upperOf(store, row.id), target: row.path });
  },
};

function show(mount: { lower: ByteString; upper: Upper; target: ByteString }): void {
  const { upper, work } = mount.upper;
  // The program separates its options with commas and lower directories with colons.
  if (/[,:\\]/.test(mount.lower + upper))
    throw unavailable('the path of the store holds a comma, a colon or a backslash');
  const options = `lowerdir=${mount.lower},upperdir=${upper},workdir=${work}`;
  const problem = run('fuse-overlayfs', ['-o', asArgument(options), asArgument(mount.target)]);
  if (problem !== undefined) throw unavailable(problem);
}

/** @throws E_CHECKOUT_BUSY, E_IO */
function fusermount(path: ByteString, force: boolean): void {
  const problem = run('fusermount3', ['-u', ...(force ? ['-z'] : []), '--', asArgument(path)]);
  if (problem === undefined) return;
  const where = { path: toText(path), problem };
  throw /busy/i.test(problem)
    ? new CellarError('E_CHECKOUT_BUSY', { details: where })
    : new CellarError('E_IO', { details: { doing: 'unmounting', ...where } });
}

/** @returns why it failed, `undefined` when it did not */
function run(program: string, args: readonly string[]): string | undefined {
  const { error, status, stderr } = childProcess().spawnSync(findProgram(program) ?? program, args, {
    encoding: 'utf8',
  });
  if (error !== undefined) return error.message;
  // What it says last is why; before that come warnings.
  return status === 0 ? undefined : stderr.trim().split('\n').at(-1) || 'it failed';
}

/** Arguments of programs are text for Node; a path that is not UTF-8 cannot be one. */
function asArgument(bytes: ByteString): string {
  const text = toBytes(bytes).toString('utf8');
  if (text.includes('\uFFFD')) throw unavailable('the path is not valid UTF-8');
  return text;
}

function unavailable(problem: string): CellarError {
  return new CellarError('E_METHOD_UNAVAILABLE', { details: { method: 'fuse-overlayfs', problem } });
}
