/**
 * `cellar.lock` beside `cellar.yaml`: the exact content of every image there, so that another machine gets the same
 * bit for bit. Read for `sync --locked`, written after every other sync.
 */
import type { LoadedConfig } from '../config/load.ts';
import { lockPathOf, readLock, writeLock, type LockEntry } from '../config/lock.ts';
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import type { Platform } from '../core/platform.ts';
import type { Reference } from '../core/reference.ts';
import { platformsOf } from '../store/references.ts';
import { readRecord } from '../store/resolve.ts';
import { openStore } from '../store/store.ts';
import { upstreamRow } from '../store/upstream.ts';
import type { Context } from './context.ts';

export interface Lock {
  /** What each platform must have. @throws E_LOCK_MISMATCH for a reference that the file does not name */
  contents(reference: Reference): ReadonlyMap<Platform, Digest>;
}

/** @throws E_LOCK_FILE */
export function openLock(config: LoadedConfig): Lock {
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

function isLocal(source: string): boolean {
  return source.startsWith('/') || /^(?:[a-z]+\+)?file:/.test(source);
}

/** Every image of the configuration that the store has. @returns the file's path */
export function saveLock(context: Context, config: LoadedConfig): string {
  const path = lockPathOf(config.files[0]!);
  using store = openStore(context.storeRoot, { readOnly: true });
  const entries = config.images.flatMap(({ reference }) => {
    const seen = upstreamRow(store, reference)?.seen ?? [];
    return platformsOf(store, reference).map(({ platform, image }): LockEntry => {
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
  });
  writeLock(path, entries);
  return path;
}
