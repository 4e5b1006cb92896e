/**
 * Composefs: metadata from the tree's EROFS image, content from the store's objects, joined by an overlay. It takes the
 * same few milliseconds for any image and no disk space; a writable checkout adds an upper of its own.
 */
import { lstatSync } from 'node:fs';
import { fromText, toBytes, toText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { inStore, treeFile } from '../store/layout.ts';
import { mountSource } from '../store/checkout-mounts.ts';
import { removeTree } from '../store/remove-tree.ts';
import type { Store } from '../store/store.ts';
import { bindMount, idmapMount, makePrivate, openErofs } from '../sys/mount.ts';
import { attachMount } from '../sys/mount-api.ts';
import { mountOverlay } from '../sys/overlay.ts';
import { findLoop } from '../sys/loop.ts';
import { openUserNamespace } from '../sys/user-namespace.ts';
import { dropUnusedErofs, prepareErofs, roomForErofs, shareErofs } from './erofs.ts';
import { parseIdMap, type IdMap } from './idmap.ts';
import { asUnavailable } from './unavailable.ts';
import { mountAgain } from './mount-again.ts';
import { no, nothingSkipped, yes, type CheckoutMethod } from './port.ts';
import { lockShared, privatePath, upperHome } from './private.ts';
import { checkTarget, makeMountPoint } from './target.ts';
import { attachFor, unmountCheckout } from './unmount.ts';
import { makeUpper, upperOf, type Upper } from './upper.ts';

export const composefs: CheckoutMethod = {
  name: 'composefs',
  available({ store, treeRow, mtime }) {
    if (!store.privileged) return no('mounting needs root');
    if (mtime === 'clamp') return no('it shows the recorded times; --mtime=clamp is for hard links');
    if (treeRow.traits.whiteouts)
      return no('the tree holds character devices 0:0, which overlayfs takes for deletions');
    if (treeRow.traits.bigXattrs) return no('an inode has more xattrs than the 32 KiB an EROFS inode holds');
    return yes;
  },
  async checkout(request) {
    const { store, tree, target, writable, signal, note } = request;
    await prepareErofs(store, tree, request);
    await roomForErofs(request);
    using _lock = await lockShared(store, signal);
    dropUnusedErofs(store);
    // Someone may have taken the directory while we waited.
    checkTarget(target);
    return asUnavailable('composefs', async () => {
      using layer = await lowestLayer(store, request);
      const upper = writable ? makeUpper(request, layer.path) : undefined;
      const madeTarget = makeMountPoint(request);
      note({ undo: 'unmount', path: target });
      show(store, { ...request, path: target, lower: layer.path, upper });
      return { skipped: nothingSkipped, madeTarget };
    });
  },
  unmount(_store, row, options) {
    unmountCheckout(row, options);
  },
  async remove(store, row) {
    removeTree(upperHome(store, row.id));
    using _lock = await lockShared(store);
    dropUnusedErofs(store, row.id);
  },
  async remount(store, row, signal) {
    await prepareErofs(store, row.tree, { verify: 'auto', signal });
    using _lock = await lockShared(store, signal);
    const idmap = row.idmap === undefined ? undefined : parseIdMap(row.idmap);
    using layer = await lowestLayer(store, { ...row, idmap });
    const upper = row.writable ? upperOf(store, row.id) : undefined;
    mountAgain(row.path, upper, () => show(store, { ...row, lower: layer.path, upper }));
  },
};

interface Layer extends Disposable {
  readonly path: ByteString;
}

/** The shared mount, or for the moment of mounting an id-mapped view of it: overlays take a copy of their layers. */
async function lowestLayer(
  store: Store,
  { id, tree, idmap }: { id: string; tree: string; idmap: IdMap | undefined },
): Promise<Layer> {
  const shared = await shareErofs(store, tree);
  if (idmap === undefined) return { path: shared, [Symbol.dispose]() {} };
  const ranges = [{ inside: idmap.container, outside: idmap.host, count: idmap.length }];
  using namespace = await openUserNamespace({ uids: ranges, gids: ranges });
  const image = fromText(treeFile(store.root, tree, 'erofs'));
  const device = findLoop(image);
  // The same file system mapped; where its device cannot be told, or it has none, another one of the same image.
  using mapped = openErofs(device === undefined ? { image } : { device });
  idmapMount(mapped, namespace.fd);
  const path = privatePath(store, 'whole', `${id}-mapped`);
  return attachFor(path, () => attachMount(mapped, path));
}

interface Showing {
  readonly id: string;
  readonly path: ByteString;
  readonly subpath: ByteString;
  readonly lower: ByteString;
  readonly upper: Upper | undefined;
}

function show(store: Store, showing: Showing): void {
  const { id, path, subpath, lower, upper } = showing;
  const overlay = {
    lower: [lower],
    data: [fromText(inStore(store.root, 'objects'))],
    source: mountSource(id),
    ...upper,
  };
  if (subpath === '/') {
    mountOverlay({ ...overlay, target: path });
  } else {
    checkSubpath(lower, subpath);
    const whole = privatePath(store, 'whole', id);
    using _mounted = attachFor(whole, () => mountOverlay({ ...overlay, target: whole }));
    bindMount(whole + subpath, path, { readOnly: upper === undefined });
  }
  makePrivate(path);
}

/** Every part must be a directory itself: a symlink could lead out of the tree. */
function checkSubpath(lower: ByteString, subpath: ByteString): void {
  let path = lower;
  for (const part of subpath.slice(1).split('/')) {
    path += `/${part}`;
    const stat = lstatSync(toBytes(path), { throwIfNoEntry: false });
    if (stat === undefined)
      throw new CellarError('E_PATH_NOT_FOUND', {
        details: { path: toText(subpath), reference: 'the tree' },
      });
    if (!stat.isDirectory())
      throw new CellarError('E_USAGE', { details: { problem: `${toText(subpath)} is not a directory` } });
  }
}
