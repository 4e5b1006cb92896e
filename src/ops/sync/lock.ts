/**
 * `cellar.lock` beside `cellar.yaml`: the exact content of every image there, so that another machine gets the same
 * bit for bit. Read for `sync --locked`, written after every other sync.
 */
import type { LoadedConfig } from '../../config/load.ts';
import type { ImageEntry } from '../../config/images.ts';
import { lockPathOf, readLock, writeLock, type LockEntry } from '../../config/lock.ts';
import type { Digest } from '../../core/digest.ts';
import { CellarError, isCellarError } from '../../core/errors.ts';
import type { Platform } from '../../core/platform.ts';
import { redact } from '../../core/redact.ts';
import type { Reference } from '../../core/reference.ts';
import { platformsOf } from '../../store/references.ts';
import { readRecord } from '../../store/resolve.ts';
import { openStore, type Store } from '../../store/store.ts';
import { upstreamRow } from '../../store/upstream.ts';
import type { Context } from '../context.ts';
import { wantedPlatforms } from './presence.ts';

export interface LockedImages {
  /** What each platform must have. @throws E_LOCK_MISSING for a reference that the file does not name */
  contents(reference: Reference): ReadonlyMap<Platform, Digest>;
}

/** @throws E_LOCK_FILE */
export function readLocked(config: LoadedConfig): LockedImages {
  const path = lockPathOf(config.files[0]!);
  const entries = readLock(path);
  return {
    contents(reference) {
      const own = entries.filter((entry) => entry.reference === reference);
      if (own.length === 0) throw new CellarError('E_LOCK_MISSING', { details: { reference, path } });
      return new Map(own.map(({ platform, content }) => [platform, content]));
    },
  };
}

/**
 * Every image of the configuration that the store has. What it lacks, because it failed now or is for another machine,
 * stays as the file has it: several may share one, and a day without upstream is no reason to forget.
 * @returns the file's path
 */
export function saveLock(context: Context, config: LoadedConfig): string {
  const path = lockPathOf(config.files[0]!);
  const before = lockedBefore(path);
  using store = openStore(context.storeRoot, { readOnly: true });
  const entries = config.images.flatMap((entry) => {
    const held = heldOf(store, entry);
    const isHeld = (platform: Platform): boolean => held.some((one) => one.platform === platform);
    return [...held, ...before.filter((old) => isStillMeant(old, entry) && !isHeld(old.platform))];
  });
  writeLock(path, entries);
  return path;
}

function heldOf(store: Store, entry: ImageEntry): LockEntry[] {
  const { reference } = entry;
  const seen = upstreamRow(store, reference)?.seen ?? [];
  const wanted = wantedPlatforms(entry);
  return platformsOf(store, reference)
    .filter(({ platform }) => wanted?.includes(platform) !== false)
    .map(({ platform, image }) => {
      const { kind, content, provenance } = readRecord(store, image);
      const revision = seen.find((one) => one.platform === platform)?.revision;
      return {
        ...{ reference, platform, source: provenance.source, kind, content },
        ...(provenance.sourceDigest === undefined ? {} : { sha256: provenance.sourceDigest }),
        // What a file of this machine is told by, its inode, is another on every machine.
        ...(revision === undefined || isLocal(provenance.source) ? {} : { revision }),
        verified: provenance.verified,
      };
    });
}

function isLocal(source: string): boolean {
  return source.startsWith('/') || /^(?:[a-z]+\+)?file:/.test(source);
}

/** Where an entry names no platform, each machine that shares the file means its own. */
function isStillMeant({ reference, platform, source }: LockEntry, entry: ImageEntry): boolean {
  if (reference !== entry.reference || source !== redact(entry.source)) return false;
  return entry.platforms === undefined || wantedPlatforms(entry)?.includes(platform) !== false;
}

/** What is no lock file, for instance because git left both sides of a conflict in it, is written anew. */
function lockedBefore(path: string): LockEntry[] {
  try {
    return readLock(path);
  } catch (error) {
    if (isCellarError(error, 'E_LOCK_FILE')) return [];
    throw error;
  }
}
