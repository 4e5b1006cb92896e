/** All methods, and the order in which `auto` tries them; `lvm` and `zfs` come only when asked for. */
import { CellarError, isCellarError } from '../core/errors.ts';
import { undoSteps, type UndoStep } from '../store/checkout-undo.ts';
import type { CheckoutMethod, CheckoutOutcome, CheckoutRequest, MethodName } from './port.ts';

/** Loaded when it is its turn: most checkouts come to the first and need the code of no other. */
const loaders: Readonly<Record<MethodName, () => Promise<CheckoutMethod>>> = {
  composefs: async () => (await import('./composefs.ts')).composefs,
  btrfs: async () => (await import('./btrfs.ts')).btrfs,
  reflink: async () => (await import('./reflink.ts')).reflink,
  overlay: async () => (await import('./overlay.ts')).overlay,
  'fuse-overlayfs': async () => (await import('./fuse-overlayfs.ts')).fuseOverlayfs,
  hardlink: async () => (await import('./hardlink.ts')).hardlink,
  copy: async () => (await import('./copy.ts')).copy,
  lvm: async () => (await import('./lvm.ts')).lvm,
  zfs: async () => (await import('./zfs.ts')).zfs,
};

/** @param name of a checkout's row, or one asked for */
export async function loadMethod(name: string): Promise<CheckoutMethod> {
  return await loaders[name as MethodName]();
}

const order = {
  root: {
    readOnly: ['composefs', 'reflink', 'hardlink', 'copy'],
    writable: ['composefs', 'btrfs', 'reflink', 'overlay', 'fuse-overlayfs', 'copy'],
  },
  // Bare hard links can be written through, so without root they come only when asked for.
  user: { readOnly: ['reflink', 'copy'], writable: ['reflink', 'fuse-overlayfs', 'copy'] },
} as const;

export interface Attempt {
  readonly method: MethodName;
  /** Why it did not serve. */
  readonly reason: string;
}

export interface Chosen {
  readonly method: MethodName;
  readonly outcome: CheckoutOutcome;
  readonly tried: readonly Attempt[];
}

/**
 * Check out by the first method that serves, or by the one asked for, and put it on record. Whatever fails is undone.
 * @throws E_METHOD_UNAVAILABLE for a method asked for, E_QUOTA_UNSUPPORTED, and the errors of methods
 */
export async function checkoutBy(
  wanted: MethodName | 'auto',
  request: CheckoutRequest,
  record: (method: MethodName, outcome: CheckoutOutcome) => void,
): Promise<Chosen> {
  const tried: Attempt[] = [];
  for (const name of await namesFor(wanted, request)) {
    const result = await attempt(await loadMethod(name), request, record);
    if (!('reason' in result)) return { method: name, outcome: result, tried };
    tried.push({ method: name, reason: result.reason });
  }
  throw noneServes(wanted, request, tried);
}

/** What {@link checkoutBy} would refuse before it makes anything; what only shows when it is tried is not. @throws as that */
export async function rehearseBy(wanted: MethodName | 'auto', request: CheckoutRequest): Promise<void> {
  const tried: Attempt[] = [];
  for (const name of await namesFor(wanted, request)) {
    const method = await loadMethod(name);
    const available = method.available(request);
    if (available.ok) return method.rehearse?.(request);
    tried.push({ method: name, reason: available.reason });
  }
  throw noneServes(wanted, request, tried);
}

/** @throws E_QUOTA_UNSUPPORTED where none of them has the quotas that are asked for */
async function namesFor(
  wanted: MethodName | 'auto',
  request: CheckoutRequest,
): Promise<readonly MethodName[]> {
  const names = wanted === 'auto' ? candidates(request) : [wanted];
  const able = await Promise.all(
    names.map(async (name) => request.quota === undefined || (await loadMethod(name)).hasQuota === true),
  );
  if (!able.includes(true)) throw noQuota(wanted, 'it cannot hold a checkout to a size');
  return names.filter((_name, at) => able[at]);
}

function noneServes(
  wanted: MethodName | 'auto',
  request: CheckoutRequest,
  tried: readonly Attempt[],
): CellarError {
  const problem = tried
    .map(({ method, reason }) => (wanted === 'auto' ? `${method}: ${reason}` : reason))
    .join('; ');
  if (wanted === 'auto' && request.quota !== undefined) return noQuota(wanted, problem);
  return new CellarError('E_METHOD_UNAVAILABLE', { details: { method: wanted, problem } });
}

export function candidates({ store, writable }: CheckoutRequest): readonly MethodName[] {
  return order[store.privileged ? 'root' : 'user'][writable ? 'writable' : 'readOnly'];
}

function noQuota(method: MethodName | 'auto', problem: string): CellarError {
  return new CellarError('E_QUOTA_UNSUPPORTED', { details: { method, problem } });
}

async function attempt(
  method: CheckoutMethod,
  request: CheckoutRequest,
  record: (method: MethodName, outcome: CheckoutOutcome) => void,
): Promise<CheckoutOutcome | { readonly reason: string }> {
  const available = method.available(request);
  if (!available.ok) return available;
  const steps: UndoStep[] = [];
  const note = (step: UndoStep): void => {
    steps.push(step);
    request.note(step);
  };
  try {
    const outcome = await method.checkout({ ...request, note });
    record(method.name, outcome);
    return outcome;
  } catch (error) {
    undo(request, steps);
    if (isCellarError(error, 'E_METHOD_UNAVAILABLE')) return { reason: String(error.details['problem']) };
    throw error;
  }
}

function undo({ id, events }: CheckoutRequest, steps: readonly UndoStep[]): void {
  try {
    undoSteps(id, steps);
  } catch (error) {
    // The first error is the one to report; what is left is named here.
    const text = `something of the failed checkout could not be removed: ${(error as Error).message}`;
    events({ type: 'warning', code: 'W_LEFTOVERS', text });
  }
}
