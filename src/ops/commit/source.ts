/**
 * Where the new version's entries come from. The cheapest way that is certain to be right:
 *
 *   taken over  the checkout is sealed, or nothing was written: its tree is the answer
 *   upper       an overlay: the upper tells what was touched, and only that is read
 *   compared    plain files that were checked out: files that nothing can have happened to are not read
 *   scanned     any other directory: every file is read
 */
import { hasChanges, upperOf } from '../../checkout/upper.ts';
import { subtree } from '../../checkout/project.ts';
import { createUnprojection, type Unprojection } from '../../checkout/unproject.ts';
import type { ByteString } from '../../core/bytes.ts';
import type { CheckoutRow } from '../../store/checkouts.ts';
import { requireMounted } from '../../store/checkout-mounts.ts';
import type { Store } from '../../store/store.ts';
import { readTree } from '../../store/trees.ts';
import { isErrno } from '../../sys/errno.ts';
import { cloneMount } from '../../sys/mount-api.ts';
import { mayMount } from '../../sys/privilege.ts';
import type { Candidate } from '../../tree/candidate.ts';
import { scanDirectory } from '../../tree/directory.ts';
import type { Entry } from '../../tree/entry.ts';
import { readOverlay } from '../../tree/overlay-upper.ts';
import { compareScan } from './scan.ts';
import type { Context } from '../context.ts';
import { leaveOutStore, mountPointWarning, readAll } from '../ingest/directory.ts';

export type CommitWay = 'taken over' | 'upper' | 'compared' | 'scanned';

export interface CommitSource {
  readonly way: CommitWay;
  readonly candidates: Iterable<Candidate>;
  /** Path under which messages of the system know the directory, to be shown as the directory itself. */
  readonly root: ByteString;
  /** For a checkout: what was checked out, and the way back from what it shows. */
  readonly original: readonly Entry[];
  readonly unprojection: Unprojection | undefined;
}

export interface SourceRequest {
  readonly store: Store;
  /** Absolute, without symlinks. */
  readonly directory: ByteString;
  /** The checkout that the directory is, if it is one. */
  readonly row: CheckoutRow | undefined;
  readonly exclude: (path: ByteString) => boolean;
}

/** What it opens stays open until `stack` is disposed. @throws E_CHECKOUT_UNMOUNTED, E_TREE_MISSING, E_SOURCE_CHANGED, … */
export async function openCommitSource(
  { signal, events }: Context,
  { store, directory, row, exclude }: SourceRequest,
  stack: DisposableStack,
): Promise<CommitSource> {
  const scanning = {
    exclude: leaveOutStore(store.root, directory, exclude),
    signal,
    displayRoot: directory,
    onMountPoint: (path: ByteString) => events(mountPointWarning(directory + path)),
  };
  if (row === undefined) {
    const candidates = scanDirectory(directory, scanning).map((found) => readAll(directory, found));
    return { way: 'scanned', candidates, root: directory, original: [], unprojection: undefined };
  }
  const whole = readTree(store, row.tree);
  const original = row.subpath === '/' ? whole : subtree(whole, row.subpath);
  const unprojection = createUnprojection(row);
  const given = { root: directory, original, unprojection };
  if (isSealed(row) || (isOverlay(row) && !hasChanges(store, row.id, {}))) {
    const candidates = takeOver(original, exclude);
    return { ...given, way: 'taken over', candidates };
  }
  requireMounted(row);
  const root = withoutMountsBelow(store, directory, stack);
  if (isOverlay(row)) {
    const layers = { lower: whole, lowerRoot: row.subpath, ...upperOf(store, row.id), view: root };
    const candidates = await readOverlay(layers, scanning);
    if (candidates !== undefined) return { ...given, root, way: 'upper', candidates };
    events({ type: 'note', text: 'the writable layer is not of a form we know: reading every file' });
  }
  const trustTimes = !isOverlay(row);
  const candidates = compareScan({ ...scanning, root, row, original, unprojection, trustTimes });
  return { ...given, root, way: trustTimes ? 'compared' : 'scanned', candidates };
}

/** A kernel overlay with an upper of its own. */
function isOverlay({ method, writable }: CheckoutRow): boolean {
  return writable && (method === 'composefs' || method === 'overlay');
}

/** The kernel lets no one write, not even root. (A read-only btrfs snapshot can be made writable.) */
function isSealed({ method, writable, privileged }: CheckoutRow): boolean {
  return !writable && (method === 'composefs' || (method === 'hardlink' && privileged));
}

/**
 * Who may mount sees the directory as it is under whatever is mounted in it (`/proc` of a chroot, for instance). Others
 * see the mounts, and get a warning for each.
 */
function withoutMountsBelow(store: Store, directory: ByteString, stack: DisposableStack): ByteString {
  if (!store.privileged || !mayMount()) return directory;
  try {
    const { fd } = stack.use(cloneMount(directory));
    return `/proc/self/fd/${fd}/.`;
  } catch (error) {
    // Its namespace may not see it without the mounts.
    if (isErrno(error, 'EINVAL')) return directory;
    throw error;
  }
}

function* takeOver(original: readonly Entry[], exclude: (path: ByteString) => boolean): Generator<Candidate> {
  const firsts = new Map<ByteString, ByteString>();
  for (const { hardlink, ...own } of original) {
    if (exclude(own.path)) continue;
    const group = hardlink ?? own.path;
    const first = firsts.get(group);
    if (first === undefined) firsts.set(group, own.path);
    yield { entry: first === undefined ? own : { ...own, hardlink: first }, isTakenOver: true };
  }
}
