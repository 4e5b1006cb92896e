/** What the methods that write files share: materialize beside the target, then rename into place. */
import { inStore } from '../store/layout.ts';
import { openDirectory } from '../sys/descriptor.ts';
import { flock } from '../sys/flock.ts';
import { syncfs } from '../sys/syncfs.ts';
import { refuseDamaged } from '../store/damaged.ts';
import { markVerified, treeObjects } from '../store/trees.ts';
import { fromText, type ByteString } from '../core/bytes.ts';
import { materialize, type MaterializeOptions } from './materialize/materialize.ts';
import type { CheckoutOutcome, CheckoutRequest, Skipped } from './port.ts';
import { clampTime } from '../store/variants.ts';
import { buildPath, publish } from './target.ts';
import { clockSlack } from './verify/tree.ts';

export type Manner = Pick<MaterializeOptions, 'content' | 'hashNewer' | 'separate' | 'rootExists'>;

export async function materializeBeside(request: CheckoutRequest, manner: Manner): Promise<CheckoutOutcome> {
  const built = buildPath(request);
  const skipped = await materializeAt(request, built, manner);
  return { skipped, madeTarget: publish(request, built) };
}

/** Write the request's tree to the absent directory `target`, which is noted already. */
export async function materializeAt(
  request: CheckoutRequest,
  target: ByteString,
  manner: Manner,
): Promise<Skipped> {
  const { store, tree, treeRow, signal, events, mtime, staging } = request;
  refuseDamaged(store, () => treeObjects(store, tree));
  const startedAt = Date.now() - clockSlack;
  using _stamps = manner.content === 'link' ? await holdStamps(request) : undefined;
  const { variants, hashed, owners, devices, xattrs } = await materialize(request.entries, {
    ...manner,
    store: store.root,
    target,
    staging,
    privileged: store.privileged,
    expected: treeRow.files,
    clampTo: mtime === 'clamp' ? clampTime : undefined,
    signal,
    events,
  });
  if (variants > 0) {
    request.grown();
    using variantsDirectory = openDirectory(fromText(inStore(store.root, 'variants')));
    syncfs(variantsDirectory.fd);
  }
  // Links move ctimes, so after linking there is nothing to gain from the mark.
  const sawAll = request.subpath === '/' && manner.hashNewer !== undefined && manner.hashNewer < Infinity;
  if (hashed > 0 && sawAll && manner.content === 'reflink') markVerified(store, tree, startedAt);
  return { owners, devices, xattrs };
}

/** What `--verify` means for content that is shared and not read: hash what changed since it was last found right. */
export function hashNewer({ verify, treeRow }: CheckoutRequest): number {
  return verify === 'always' ? -Infinity : verify === 'never' ? Infinity : treeRow.verifiedAt;
}

/**
 * A checkout with `--mtime=clamp` may give the one time to an object that has no other link. One with `keep` that has
 * just compared the time and is about to link must not see it change: clamping checkouts run alone, keeping ones together.
 */
async function holdStamps({ store, mtime, signal }: CheckoutRequest): Promise<Disposable> {
  const directory = openDirectory(fromText(inStore(store.root, 'variants')));
  await flock(directory.fd, mtime === 'clamp' ? 'exclusive' : 'shared', { signal });
  return directory;
}
