/** `cellar checkout`: make a tree visible in a directory, put it on record, and say how it was done. */
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { checkTarget, resolveTarget } from '../checkout/target.ts';
import { checkoutBy, rehearseBy, type Attempt } from '../checkout/methods.ts';
import { formatIdMap, parseIdMap, type IdMap } from '../checkout/idmap.ts';
import type { CheckoutOutcome, CheckoutRequest, MethodName, Skipped } from '../checkout/port.ts';
import { project } from '../checkout/project.ts';
import { parseMethod } from '../checkout/parse-method.ts';
import { toText, type ByteString } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { CellarError, isCellarError } from '../core/errors.ts';
import type { Platform } from '../core/platform.ts';
import { count } from '../core/quantity.ts';
import { findCheckout, identityOf, putCheckout, type CheckoutRow } from '../store/checkouts.ts';
import type { UndoStep } from '../store/checkout-undo.ts';
import { mountsOf } from '../store/checkout-mounts.ts';
import { leaseTree } from '../store/lease.ts';
import { createStaging, type Staging } from '../store/staging.ts';
import { openStore, requireWritable, type Store } from '../store/store.ts';
import { readTree, treeRow } from '../store/trees.ts';
import { isSystemCall, toCellarError } from '../sys/errno.ts';
import { inodeMoment } from '../sys/inode-clock.ts';
import type { Entry } from '../tree/entry.ts';
import { makeRoomForDerived, shrink } from './gc/bound.ts';
import type { Context } from './context.ts';
import { elapsedSince } from './elapsed.ts';
import { refuseInsideStore } from './inside-store.ts';
import { resolveTree } from './resolve-tree.ts';
import { writtenPath } from './shown-path.ts';

export interface CheckoutOptions {
  readonly reference: string;
  readonly directory: string;
  readonly platform?: Platform | undefined;
  readonly writable?: boolean | undefined;
  /** `auto` (the default), a method, or `METHOD:PLACE`: see {@link parseMethod}. */
  readonly method?: string | undefined;
  /** Bytes it may hold in all; for methods that have quotas. */
  readonly quota?: number | undefined;
  /** Show only this directory of the image. */
  readonly subpath?: string | undefined;
  /** Default `keep`. */
  readonly mtime?: 'keep' | 'clamp' | undefined;
  /** `CONTAINER:HOST:LENGTH`. */
  readonly idmap?: string | undefined;
  /** Default `auto`. */
  readonly verify?: 'auto' | 'always' | 'never' | undefined;
}

export interface CheckoutResult {
  readonly reference: string;
  readonly image: Digest;
  readonly tree: Digest;
  readonly path: string;
  readonly method: MethodName;
  readonly writable: boolean;
  /** Methods passed over, with the reason. */
  readonly tried: readonly Attempt[];
  /** Inodes whose owner, devices and xattrs that could not be made: without root, or where the file system cannot. */
  readonly skipped: Skipped;
  readonly elapsedMs: number;
}

/** @throws E_NOT_FOUND, E_DESTINATION_EXISTS, E_METHOD_UNAVAILABLE, E_OBJECT_MISSING, E_OBJECT_DAMAGED, E_NO_SPACE, … */
export async function checkout(context: Context, options: CheckoutOptions): Promise<CheckoutResult> {
  const started = performance.now();
  using store = openStore(context.storeRoot);
  const { reference, directory } = options;
  refuseInsideStore(store, resolve(directory));
  const { digest, tree } = await resolveTree(context, store, reference, { platform: options.platform });
  const made = await checkoutTree(context, store, { ...options, tree, image: digest });
  const elapsedMs = elapsedSince(started);
  return { reference, image: digest, tree, ...made, elapsedMs };
}

export interface TreeCheckout extends Omit<CheckoutOptions, 'reference' | 'platform'> {
  readonly tree: Digest;
  /** The image that the tree belongs to, and the name it was asked for by. */
  readonly image?: Digest | undefined;
  readonly reference?: string | undefined;
  readonly record?: CheckoutRow['record'];
  /** Name of the target that it is a version of. */
  readonly deployment?: string | undefined;
}

/** A tree that the store has, in a directory. @throws as {@link checkout} */
export async function checkoutTree(
  context: Context,
  store: Store,
  options: TreeCheckout,
): Promise<Omit<CheckoutResult, 'reference' | 'image' | 'tree' | 'elapsedMs'>> {
  const wanted = wantedOf(store, options);
  using _lease = await leaseTree(store, options.tree, context.signal);
  using staging = createStaging(store.root);
  using kept = new DisposableStack();
  let hasGrown = false;
  const grown = (): boolean => (hasGrown = true);
  const request = makeRequest(store, { ...options, ...wanted, context, staging, grown, kept });
  const path = toText(wanted.target);
  try {
    const { method, outcome, tried } = await checkoutBy(wanted.by, request, (by, made) =>
      putCheckout(store, checkoutRow(request, { ...options, method: by, made })),
    );
    if (hasGrown) await shrink(context, store);
    warnOfSkipped(context, outcome.skipped);
    return { path, method, writable: request.writable, tried, skipped: outcome.skipped };
  } catch (error) {
    if (isCellarError(error, 'E_PATH_NOT_FOUND') && options.reference !== undefined) {
      const details = { path: options.subpath, reference: options.reference };
      throw new CellarError('E_PATH_NOT_FOUND', { details, cause: error });
    }
    // Told with the directory that was asked for, not with the hidden one beside it where it is made.
    const { cause } = isCellarError(error, 'E_NOT_ALLOWED') ? error : {};
    throw toCellarError(isSystemCall(cause) ? cause : error, { doing: 'checking out', path });
  }
}

/** Whether {@link checkoutTree} would be refused, as far as that can be told; nothing is made. @throws as that */
export async function rehearseTree(context: Context, store: Store, options: TreeCheckout): Promise<void> {
  const wanted = wantedOf(store, options);
  using staging = createStaging(store.root);
  using kept = new DisposableStack();
  const request = makeRequest(store, { ...options, ...wanted, context, staging, grown: () => {}, kept });
  await rehearseBy(wanted.by, request);
}

interface Wanted {
  readonly by: MethodName | 'auto';
  /** For the method to read. */
  readonly place: string | undefined;
  readonly idmap: IdMap | undefined;
  readonly target: ByteString;
}

function wantedOf(store: Store, options: TreeCheckout): Wanted {
  const idmap = options.idmap === undefined ? undefined : parseIdMap(options.idmap);
  const { method: by, place } = parseMethod(options.method ?? 'auto');
  requireWritable(store);
  const target = resolveTarget(options.directory);
  refuseTaken(store, target);
  return { by, place, idmap, target };
}

/** What is taken by a checkout of this store is not to be unmounted behind its back. */
function refuseTaken(store: Store, target: ByteString): void {
  try {
    checkTarget(target);
  } catch (error) {
    const row = isCellarError(error, 'E_DESTINATION_EXISTS') ? findCheckout(store, target) : undefined;
    if (row === undefined) throw error;
    const path = toText(target);
    const what = row.reference === undefined ? 'a checkout' : `a checkout of ${row.reference}`;
    throw new CellarError('E_DESTINATION_EXISTS', {
      details: { path },
      hint: `${what} is there: 'cellar release ${path}' takes it away; or choose another directory`,
    });
  }
}

interface Given extends Omit<TreeCheckout, 'idmap'>, Omit<Wanted, 'by'> {
  readonly context: Context;
  readonly staging: Staging;
  readonly grown: () => void;
  readonly kept: DisposableStack;
}

function makeRequest(store: Store, given: Given): CheckoutRequest {
  const { context, tree, target, idmap, staging, kept } = given;
  const id = randomBytes(8).toString('hex');
  const subpath = chosenPath(given.subpath ?? '/', () => readTree(store, tree));
  const mtime = given.mtime ?? 'keep';
  let entries: readonly Entry[] | undefined;
  return {
    store,
    id,
    tree,
    treeRow: treeRow(store, tree),
    entries: () => (entries ??= project(readTree(store, tree), { subpath, idmap, mtime })),
    target,
    writable: given.writable ?? false,
    subpath,
    mtime,
    idmap,
    place: given.place,
    quota: given.quota,
    verify: given.verify ?? 'auto',
    staging: staging.directory,
    note: (step: UndoStep) => staging.note(JSON.stringify({ id, step })),
    room: async (bytes) => await makeRoomForDerived(context, store, bytes),
    grown: () => given.grown(),
    keep: (resource) => void kept.use(resource),
    signal: context.signal,
    events: context.events,
  };
}

function chosenPath(text: string, entries: () => readonly Entry[]): ByteString {
  if (text.split('/').includes('..'))
    throw new CellarError('E_USAGE', { details: { problem: `--subpath ${text} contains '..'` } });
  return writtenPath(entries, text);
}

interface Made extends Pick<TreeCheckout, 'image' | 'reference' | 'record' | 'deployment'> {
  readonly method: MethodName;
  readonly made: CheckoutOutcome;
}

function checkoutRow(request: CheckoutRequest, made: Made): CheckoutRow {
  const { store, id, tree, target, writable, subpath, mtime, idmap, quota } = request;
  const { image, reference, record, deployment, method } = made;
  const { madeTarget, volume, backing } = made.made;
  const mounted = mountsOf({ id, path: target }).length > 0;
  return {
    id,
    path: target,
    ...(reference === undefined ? {} : { reference }),
    ...(image === undefined ? {} : { image }),
    tree,
    method,
    writable,
    subpath,
    mtime,
    ...(idmap === undefined ? {} : { idmap: formatIdMap(idmap) }),
    // A commit compares the times of files with it, where they are not apart in an upper.
    created: mounted && volume === undefined ? Date.now() : inodeMoment(),
    privileged: store.privileged,
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    madeTarget,
    ...(volume === undefined ? {} : { volume }),
    ...(backing === undefined ? {} : { backing }),
    ...(quota === undefined ? {} : { quota }),
    ...(mounted ? {} : { identity: identityOf(target) }),
    ...(record === undefined ? {} : { record }),
    ...(deployment === undefined ? {} : { deployment }),
  };
}

function warnOfSkipped({ events }: Context, { owners, devices, xattrs }: Skipped): void {
  const parts = [
    [owners, 'owner', 'set'],
    [devices, 'device', 'made'],
    [xattrs, 'extended attribute', 'set'],
  ] as const;
  const text = parts
    .flatMap(([number, noun, done]) =>
      number === 0 ? [] : [`${count(number, noun)} ${number === 1 ? 'was' : 'were'} not ${done}`],
    )
    .join(', ');
  if (text === '') return;
  events({
    type: 'warning',
    code: 'W_SKIPPED',
    text,
    hint: 'only root, on a file system that keeps them, can',
  });
}
