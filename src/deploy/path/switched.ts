/**
 * What a path that is switched has beside it: a hidden directory of versions, which also keeps what lay at the path before
 * the first of them.
 */
import { chmodSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fromText } from '../../core/bytes.ts';
import { CellarError } from '../../core/errors.ts';
import { fsyncDir } from '../../sys/atomic.ts';
import { makeDirectory, readableNames } from '../../sys/directory.ts';

export interface Switched {
  readonly path: string;
  /** Directory of versions. */
  readonly hidden: string;
  /** What lay at the path before the first version, if anything did. */
  readonly original: string;
}

/** `hiddenName`: of the directory of versions; default `.NAME.cellar`. */
export function switchedAt(path: string, hiddenName = `.${basename(path)}.cellar`): Switched {
  const hidden = join(dirname(path), hiddenName);
  return { path, hidden, original: join(hidden, 'original') };
}

/** What was done to the path, and to the versions, is on the disk. */
export function syncSwitched({ path, hidden }: Switched): void {
  fsyncDir(fromText(hidden));
  fsyncDir(fromText(dirname(path)));
}

/** What lies at the path cannot be kept as well. */
export function twoOriginals({ path, original }: Switched, foreign: string): CellarError {
  return new CellarError('E_TARGET_FOREIGN', {
    details: { path, found: foreign },
    hint: `what lay there first is still kept at ${original}: move one of them away`,
  });
}

/** What `writeFileAtomic` writes a record to before it gets its name. */
const unfinishedRecord = /^\.\d+-[0-9a-f]{8}\.[a-z]+\.[0-9a-f]{12}$/;

/** Names in a directory of versions that a killed switch or staging leaves; no version and nothing of the user's. */
export function leftovers(hidden: string): string[] {
  return readableNames(hidden)
    .filter((name) => /^\.next-[0-9a-f]{8}$/.test(name) || unfinishedRecord.test(name))
    .map((name) => join(hidden, name));
}

/**
 * Whoever may go where the versions are in service gets through here, whatever the umask of who deploys. What it lets
 * others do beyond that, a group that shares it for instance, is theirs to say, and may not be ours to change.
 */
export function makeVersions(hidden: string): void {
  makeDirectory(hidden, 0o755);
  const mode = statSync(hidden).mode & 0o7777;
  if ((mode & 0o755) !== 0o755) chmodSync(hidden, mode | 0o755);
}

/** Ids of the versions in a directory of versions. */
export function versionsIn(hidden: string): string[] {
  return readableNames(hidden).filter((name) => /^\d+-[0-9a-f]{8}$/.test(name));
}
