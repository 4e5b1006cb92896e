/**
 * `file:PATH`: one file, such as a binary, with owner and mode, replaced by rename(2). Earlier versions are kept in a
 * hidden directory beside it; a hard link shares the bytes between the two.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { fromText } from '../../core/bytes.ts';
import { CellarError } from '../../core/errors.ts';
import { fsyncDir, writeFileAtomic } from '../../sys/atomic.ts';
import { removeIfEmpty } from '../../sys/directory.ts';
import type { Target, TargetDriver, TargetOptions, TargetState, Version, Workbench } from '../port.ts';
import { absolutePath } from './target-path.ts';
import { requireFile } from '../version-kind.ts';
import {
  leftovers,
  makeVersions,
  switchedAt,
  syncSwitched,
  twoOriginals,
  versionsIn,
  type Switched,
} from './switched.ts';
import { nearestDirectory, requireWay } from './way.ts';
import { writeChunks } from '../write-chunks.ts';

export const fileTarget: TargetDriver = {
  open: (rest, options) => fileAt({ kind: 'file', rest, write: writeObject, defaultMode: 0o755 }, options),
};

export interface FileTargetSpec {
  readonly kind: string;
  readonly rest: string;
  /** Makes the file of a version, complete, under a name that nobody looks at. */
  readonly write: (version: Version, file: string, bench: Workbench) => Promise<void>;
  readonly defaultMode: number;
}

/** Any target that is one file. */
export function fileAt(spec: FileTargetSpec, options: TargetOptions): Target {
  const { kind, rest } = spec;
  const path = absolutePath(kind, rest);
  const at = switchedAt(path);
  const { hidden } = at;
  const name = `${kind}:${path}`;
  const place = (id: string): string => join(hidden, id);
  return {
    name,
    path,
    writable: false,
    ...(kind === 'file' ? { takesFiles: true } : {}),
    async look() {
      const state = look(at);
      const isStale = state.active !== undefined && !isAsMade(place(state.active));
      return { ...state, ...(isStale ? { stale: true } : {}), users: [] };
    },
    restore: async (id) => isAsMade(place(id)),
    async rehearse() {
      requireWay(path, name);
    },
    async stage(version, bench) {
      nearestDirectory(path, name);
      makeVersions(hidden);
      await stage(version, { spec, options, file: place(version.id) }, bench);
      return {};
    },
    activate: async (id) => activate(at, id, options),
    deactivate: async () => deactivate(at),
    tidy: () => tidy(at),
    async discard(id) {
      for (const name of [`${id}.partial`, `${id}.json`, id]) rmSync(place(name), { force: true });
    },
  };
}

function look({ path, hidden }: Switched): Pick<TargetState, 'active' | 'foreign'> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return {};
  const active = versionsIn(hidden).find((id) => isSameInode(join(hidden, id), path));
  return active === undefined ? { foreign: stat.isFile() ? 'a file' : 'something else' } : { active };
}

interface Staging {
  readonly spec: FileTargetSpec;
  readonly options: TargetOptions;
  /** Where the version is to lie. */
  readonly file: string;
}

async function stage(version: Version, { spec, options, file }: Staging, bench: Workbench): Promise<void> {
  const partial = `${file}.partial`;
  rmSync(partial, { force: true });
  await spec.write(version, partial, bench);
  if (options.owner !== undefined) chownSync(partial, options.owner.uid, options.owner.gid);
  chmodSync(partial, options.mode ?? spec.defaultMode);
  const made = timeOf(version.deploymentRecord);
  if (made !== undefined) utimesSync(partial, made, made);
  await using handle = await open(partial, 'r');
  await handle.sync();
  renameSync(partial, file);
  writeFileAtomic(fromText(`${file}.json`), version.deploymentRecord);
}

function activate(at: Switched, id: string, { force }: TargetOptions): void {
  const { path, hidden } = at;
  const { active, foreign } = look(at);
  // It may have failed only to get to the disk.
  if (active === id) return syncSwitched(at);
  if (foreign !== undefined && !force)
    throw new CellarError('E_TARGET_FOREIGN', { details: { path, found: foreign } });
  if (foreign !== undefined) keepOriginal(at, foreign);
  const next = join(hidden, `.next-${randomBytes(4).toString('hex')}`);
  linkSync(join(hidden, id), next);
  renameSync(next, path);
  syncSwitched(at);
}

function keepOriginal(at: Switched, foreign: string): void {
  const { path, original } = at;
  // A switch that was killed has kept it already.
  if (isSameInode(original, path)) return;
  if (lstatSync(original, { throwIfNoEntry: false }) !== undefined) throw twoOriginals(at, foreign);
  linkSync(path, original);
}

function deactivate(at: Switched): void {
  const { path, hidden, original } = at;
  if (look(at).active !== undefined) {
    if (lstatSync(original, { throwIfNoEntry: false }) === undefined) rmSync(path);
    else renameSync(original, path);
  }
  // Also when it is out of service already: it may have failed only to get to the disk.
  if (existsSync(hidden)) fsyncDir(fromText(dirname(path)));
  tidy(at);
}

function tidy({ path, hidden, original }: Switched): void {
  for (const name of leftovers(hidden)) rmSync(name, { force: true });
  if (isSameInode(original, path)) rmSync(original);
  if (versionsIn(hidden).length === 0) removeIfEmpty(hidden);
}

/** File systems that have hard links keep times in steps of a second at most. */
const timeStepMs = 1000;

/**
 * Whether a version is there and nobody has written to it since it was made: what is written in place, as cp(1) does,
 * stays the same file, but gets another time than its record says.
 */
function isAsMade(file: string): boolean {
  const stat = lstatSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return false;
  const made = madeAt(`${file}.json`);
  return made === undefined || Math.abs(stat.mtimeMs - made) < timeStepMs;
}

/** Milliseconds; `undefined` where there is no record, and NaN, which no time is near, for a damaged one. */
function madeAt(record: string): number | undefined {
  if (!existsSync(record)) return undefined;
  try {
    return timeOf(readFileSync(record, 'utf8'))?.getTime();
  } catch (error) {
    if (error instanceof SyntaxError) return Number.NaN;
    throw error;
  }
}

/** When a version was deployed, by its record. */
function timeOf(record: string): Date | undefined {
  const { deployed } = JSON.parse(record) as { deployed?: string };
  return deployed === undefined ? undefined : new Date(deployed);
}

/** Whether both are there and are names of one file. Inode numbers may pass 2⁵³, as those of overlays do. */
function isSameInode(a: string, b: string): boolean {
  const [one, two] = [a, b].map((path) => lstatSync(path, { bigint: true, throwIfNoEntry: false }));
  return one !== undefined && one.ino === two?.ino && one.dev === two.dev;
}

async function writeObject(version: Version, file: string, bench: Workbench): Promise<void> {
  requireFile(version);
  await writeChunks(file, bench.object(version.record.content));
}
