/**
 * Opening a store: find it or make it, refuse what would not keep it safe, sweep what dead processes left.
 * A `Store` is only a handle (root, rights, rows); what can be done with it are functions in the files beside.
 */
import {
  accessSync,
  chmodSync,
  constants,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  type Stats,
} from 'node:fs';
import { resolve } from 'node:path';
import { fromText } from '../core/bytes.ts';
import { CellarError, isCellarError } from '../core/errors.ts';
import { writeFileAtomic } from '../sys/atomic.ts';
import { makeDirectory } from '../sys/directory.ts';
import { mayGiveFilesAway } from '../sys/privilege.ts';
import { filesystemOf } from '../sys/filesystem.ts';
import { undoLine } from './checkout-undo.ts';
import { directories, inStore, storeFormat } from './layout.ts';
import { releaseReserveWhenFull, renewReserve } from './reserve.ts';
import { openRows, type Rows } from './rows.ts';
import { sweepStaging } from './staging.ts';
import { isErrno } from '../sys/errno.ts';

export interface Store extends Disposable {
  /** Absolute path without symlinks. */
  readonly root: string;
  readonly readOnly: boolean;
  /** Whether owners, devices and trusted xattrs can be set: effective uid 0. */
  readonly privileged: boolean;
  readonly rows: Rows;
}

export interface OpenOptions {
  /** Make the store when there is none. */
  readonly create?: boolean;
  /** Never write; also chosen when the store cannot be written. */
  readonly readOnly?: boolean;
}

/** @throws E_NO_STORE, E_STORE_NOT_EMPTY, E_STORE_FORMAT, E_STORE_FILESYSTEM, E_STORE_PATH_LONG, E_DATABASE_DAMAGED, E_NOT_ALLOWED */
export function openStore(path: string, options: OpenOptions = {}): Store {
  if (options.create === true) createStore(path);
  const format = readFormat(path);
  if (format === undefined) throw new CellarError('E_NO_STORE', { details: { store: path } });
  if (format !== storeFormat) {
    throw new CellarError('E_STORE_FORMAT', { details: { store: path, found: format, wanted: storeFormat } });
  }
  const root = realpathSync(path);
  refuseLongPath(root);
  const immutable = !writable(root);
  const readOnly = options.readOnly === true || immutable;
  if (!readOnly) {
    refuseNetworkFilesystem(root);
    releaseReserveWhenFull(root);
  }
  using opened = new DisposableStack();
  const rows = opened.use(openRows(root, { readOnly, immutable }));
  if (!readOnly) sweepStaging(root, (line) => undoLine(rows, line));
  opened.move();
  return {
    root,
    readOnly,
    privileged: mayGiveFilesAway(),
    rows,
    [Symbol.dispose]() {
      rows[Symbol.dispose]();
      if (!readOnly) renewReserve(root);
    },
  };
}

/** For reading; `undefined` where there is none. @throws as {@link openStore} otherwise */
export function openIfThere(path: string): Store | undefined {
  try {
    return openStore(path, { readOnly: true });
  } catch (error) {
    if (isCellarError(error, 'E_NO_STORE')) return undefined;
    throw error;
  }
}

/** @throws E_STORE_READ_ONLY */
export function requireWritable({ root, readOnly }: Pick<Store, 'root' | 'readOnly'>): void {
  if (readOnly) throw new CellarError('E_STORE_READ_ONLY', { details: { store: root } });
}

function createStore(path: string): void {
  if (!refusePlace(path)) return;
  try {
    makeDirectory(path, 0o700);
    refuseNetworkFilesystem(path);
    // A directory that was there, such as the root of a mounted disk, is open to all as a rule.
    if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o700);
    for (const name of directories) makeDirectory(inStore(path, name), 0o700);
    // Written last and atomically: a store without it was never finished and may be made again.
    writeFileAtomic(fromText(inStore(path, 'format')), `${storeFormat}\n`, { mode: 0o600 });
  } catch (error) {
    throw permissionError(error, path);
  }
}

/**
 * Where a store cannot be made. @returns whether there is none yet
 * @throws E_STORE_NOT_EMPTY, E_STORE_PATH_LONG, E_NOT_ALLOWED
 */
export function refusePlace(path: string): boolean {
  if (readFormat(path) !== undefined) return false;
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory() === false)
    throw new CellarError('E_STORE_NOT_EMPTY', {
      details: { store: path },
      hint: 'it is a file: give --store a directory',
    });
  const names = stat === undefined ? [] : readdirSync(path);
  const isOurs = (name: string): boolean =>
    ourNames.has(name) || name.startsWith('.format.') || name.startsWith(provisionalPrefix);
  const foreign = names.filter((name) => !isOurs(name));
  // Another process may have made the store since: then what lies there is what a store holds.
  if (foreign.length > 0 && readFormat(path) !== undefined) return false;
  if (foreign.length > 0) throw new CellarError('E_STORE_NOT_EMPTY', { details: { store: path } });
  refuseLongPath(resolve(path));
  return true;
}

/** What the directory of a dry run's store begins with; it may lie in the place of the real one. */
export const provisionalPrefix = '.cellar-dry-run-';

const ourNames: ReadonlySet<string> = new Set([...directories, 'format', 'lost+found']);

/** SQLite keeps paths in 512 bytes, with the longest ending of the files beside the database. */
const longestRoot = 512 - '/cellar.db'.length - '-journal'.length;

function refuseLongPath(root: string): void {
  const bytes = Buffer.byteLength(root);
  if (bytes > longestRoot)
    throw new CellarError('E_STORE_PATH_LONG', { details: { store: root, bytes, most: longestRoot } });
}

function refuseNetworkFilesystem(path: string): void {
  const { type, network } = filesystemOf(fromText(path));
  if (network) throw new CellarError('E_STORE_FILESYSTEM', { details: { store: path, filesystem: type } });
}

function readFormat(path: string): string | undefined {
  const file = inStore(path, 'format');
  let stat: Stats | undefined;
  try {
    stat = statSync(file, { throwIfNoEntry: false });
  } catch (error) {
    throw permissionError(error, path);
  }
  return stat === undefined ? undefined : readFileSync(file, 'utf8').trimEnd();
}

function writable(root: string): boolean {
  try {
    accessSync(root, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

export function permissionError(error: unknown, path: string): unknown {
  if (!isErrno(error, 'EACCES', 'EPERM')) return error;
  return new CellarError('E_NOT_ALLOWED', {
    details: { operation: `using the store ${path}`, problem: 'permission denied' },
    hint: 'run as its owner, or name your own store with --store',
    cause: error,
  });
}
