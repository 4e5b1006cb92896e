/**
 * `cellar sync`: every image of `cellar.yaml` that is due, several at a time. One that fails does not keep the others;
 * what the store holds of it stays in use. Afterwards `cellar.lock` says exactly what was stored.
 */
import { loadConfig, type LoadedConfig } from '../config/load.ts';
import type { ImageEntry } from '../config/images.ts';
import { selectImages } from '../config/select.ts';
import type { Digest } from '../core/digest.ts';
import { CellarError, isCellarError } from '../core/errors.ts';
import { mapInOrder } from '../core/parallel.ts';
import type { Platform } from '../core/platform.ts';
import { redact } from '../core/redact.ts';
import { openIfThere, openStore } from '../store/store.ts';
import type { Freshness } from '../store/upstream.ts';
import { explained } from '../sys/any-error.ts';
import type { Context } from './context.ts';
import { elapsedSince } from './elapsed.ts';
import { absent, presence, type Presence } from './sync/presence.ts';
import { pullOptions } from './pull/from-config.ts';
import { pull, type PullResult } from './pull.ts';
import { readLocked, saveLock, type LockedImages } from './sync/lock.ts';

export interface SyncOptions {
  /** References, groups or patterns; none is all. */
  readonly names?: readonly string[];
  /** Say what would change, and change nothing. */
  readonly check?: boolean | undefined;
  /** Also what is not due. */
  readonly force?: boolean | undefined;
  /** Ask no source: fail where the store lacks an image. */
  readonly onlyCached?: boolean | undefined;
  /** Take exactly what cellar.lock names, and nothing newer. */
  readonly locked?: boolean | undefined;
}

export interface SyncedImage {
  readonly reference: string;
  readonly source: string;
  readonly outcome: 'new' | 'updated' | 'unchanged' | 'not due' | 'stale' | 'failed';
  readonly state: Freshness;
  readonly pulled?: PullResult;
  readonly error?: CellarError;
}

export interface SyncResult {
  readonly images: readonly SyncedImage[];
  readonly transferred: number;
  readonly newBytes: number;
  readonly failed: number;
  readonly stale: number;
  readonly check: boolean;
  /** Path of the lock file that was written. */
  readonly lock?: string;
  readonly elapsedMs: number;
}

/** Images at a time; each has connections and workers of its own. */
const width = 2;

/** Failures are results. @throws E_CONFIG*, E_CANCELLED, E_LOCK_FILE */
export async function sync(context: Context, options: SyncOptions): Promise<SyncResult> {
  const started = performance.now();
  const config = loadConfig(context.configPath);
  const entries = selectImages(config, options.names ?? []);
  const lock = options.locked === true ? readLocked(config) : undefined;
  using _open =
    options.check === true ? openIfThere(context.storeRoot) : openStore(context.storeRoot, { create: true });
  const images = await mapInOrder(entries, width, (entry) =>
    syncOne(context, { config, entry, options, lock }),
  );
  const keepsLock = options.check !== true && options.locked !== true && options.onlyCached !== true;
  const path = keepsLock ? saveLock(context, config) : undefined;
  const sum = (of: (pulled: PullResult) => number): number =>
    images.reduce((total, { pulled }) => total + (pulled === undefined ? 0 : of(pulled)), 0);
  return {
    images,
    transferred: sum(({ transferred }) => transferred),
    newBytes: sum(({ newBytes }) => newBytes),
    failed: images.filter(({ outcome }) => outcome === 'failed').length,
    stale: images.filter(({ outcome }) => outcome === 'stale').length,
    check: options.check === true,
    ...(path === undefined ? {} : { lock: path }),
    elapsedMs: elapsedSince(started),
  };
}

interface One {
  readonly config: LoadedConfig;
  readonly entry: ImageEntry;
  readonly options: SyncOptions;
  readonly lock: LockedImages | undefined;
}

async function syncOne(context: Context, { config, entry, options, lock }: One): Promise<SyncedImage> {
  const { reference, source } = entry;
  const about = { reference, source: redact(source) };
  try {
    const present = presenceNow(context, entry, config);
    if (options.onlyCached === true) {
      if (!present.isThere || !present.isProven) {
        const problem = 'and --only-cached forbids to fetch it';
        throw new CellarError('E_NOT_CACHED', {
          details: {
            ...{ reference, places: about.source },
            problem: present.isThere ? `proven as it has to be, ${problem}` : problem,
          },
        });
      }
      return { ...about, outcome: 'unchanged', state: present.state };
    }
    const locked = lock?.contents(reference);
    if (locked !== undefined && options.force !== true && isLocked(present, locked))
      return { ...about, outcome: 'unchanged', state: present.state };
    const isWanted = options.force === true || lock !== undefined || !present.isThere || present.isDue;
    if (!isWanted) return { ...about, outcome: 'not due', state: present.state };
    const pulled = await pull(context, {
      ...pullOptions(entry, config),
      dryRun: options.check,
      ...(locked === undefined ? {} : { locked }),
    });
    return { ...about, outcome: outcomeOf(pulled), state: pulled.state, pulled };
  } catch (thrown) {
    const error = explained(thrown);
    if (!isCellarError(error) || error.code === 'E_CANCELLED') throw error;
    context.events({ type: 'error', error });
    return { ...about, outcome: 'failed', state: presenceNow(context, entry, config).state, error };
  }
}

function presenceNow({ storeRoot }: Context, entry: ImageEntry, { store: limits }: LoadedConfig): Presence {
  using store = openIfThere(storeRoot);
  return store === undefined ? absent : presence(store, entry, limits);
}

/** What is here as the lock file names it need not be offered any more: a tag may have moved on, upstream be away. */
function isLocked(
  { isThere, isSettled, contents }: Presence,
  locked: ReadonlyMap<Platform, Digest>,
): boolean {
  return (
    isThere && isSettled && [...contents].every(([platform, content]) => locked.get(platform) === content)
  );
}

function outcomeOf({ images, problem }: PullResult): SyncedImage['outcome'] {
  if (problem !== undefined) return 'stale';
  const changes = images.map(({ change }) => change);
  if (changes.includes('new')) return 'new';
  return changes.includes('updated') ? 'updated' : 'unchanged';
}
