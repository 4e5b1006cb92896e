/** From a directory on this machine to entries with digests, their content staged in a transaction. */
import { realpathSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { fromText, toBytes, toText, type ByteString } from '../../core/bytes.ts';
import { CellarError } from '../../core/errors.ts';
import type { EventSink } from '../../core/events.ts';
import { findCheckout } from '../../store/checkouts.ts';
import { requireMounted } from '../../store/checkout-mounts.ts';
import type { Content } from '../../store/ingest/pool.ts';
import type { Transaction } from '../../store/transaction.ts';
import type { Candidate } from '../../tree/candidate.ts';
import { scanDirectory, type Scanned } from '../../tree/directory.ts';
import type { Entry } from '../../tree/entry.ts';
import type { TarLimits } from '../../tree/tar/parse.ts';
import { tarProblems } from '../../tree/tar/problems.ts';

export interface DirectoryOptions {
  /** As of an archive. */
  readonly limits: TarLimits;
  readonly exclude?: (path: ByteString) => boolean;
  readonly signal: AbortSignal;
  readonly events: EventSink;
}

/**
 * The tree at `root` (absolute), which may itself be reached through symlinks. The store is left out if it lies inside.
 * Mount points are kept as empty directories (see {@link scanDirectory}); each is told of by a warning.
 * @throws E_ARCHIVE_LIMIT, E_CHECKOUT_UNMOUNTED, E_NOT_ALLOWED, E_SOURCE_CHANGED, E_CANCELLED and what storing content can meet
 */
export async function ingestDirectory(
  transaction: Transaction,
  root: ByteString,
  options: DirectoryOptions,
): Promise<Entry[]> {
  const { signal, events } = options;
  const real = realpathSync(toBytes(root), { encoding: 'latin1' });
  const row = findCheckout(transaction.store, real);
  if (row !== undefined && row.releasing !== true) requireMounted(row);
  const exclude = leaveOutStore(transaction.store.root, real, options.exclude);
  const scanned = scanDirectory(real, {
    exclude,
    signal,
    onMountPoint: (path) => events(mountPointWarning(real + path)),
  });
  events({ type: 'step', step: 'scan', label: `reading ${toText(root)}`, unit: 'files' });
  return await ingestCandidates(
    transaction,
    within(scanned, options.limits, toText(root)).map((found) => readAll(real, found)),
    options,
  );
}

/** @throws E_ARCHIVE_LIMIT at the first entry that is too much */
function* within(
  scanned: Iterable<Scanned>,
  { maxSize, maxFiles }: TarLimits,
  source: string,
): Generator<Scanned> {
  let [bytes, files] = [0, 0];
  for (const found of scanned) {
    const { type, size, hardlink } = found.entry;
    if (type === 'file' && hardlink === undefined) bytes += size;
    if (++files > maxFiles) throw tarProblems(source).limit(`${maxFiles} entries`);
    if (bytes > maxSize) throw tarProblems(source).limit(`${maxSize} bytes of content`);
    yield found;
  }
}

export interface CandidateOptions extends Pick<DirectoryOptions, 'signal' | 'events'> {
  /** Last change to an entry that was not taken over: once to store its content, and again when the digest is known. */
  readonly restore?: (entry: Entry, origin: Entry | undefined) => Entry;
}

/** Stage what must be read, and give every entry its digest. Hard links repeat what their first name turned out to be. */
export async function ingestCandidates(
  { ingest }: Transaction,
  candidates: Iterable<Candidate>,
  { signal, events, restore = (entry) => entry }: CandidateOptions,
): Promise<Entry[]> {
  const entries: Entry[] = [];
  const contents = new Map<number, Content>();
  const origins = new Map<number, Entry | undefined>();
  for (const { entry, read, origin, isTakenOver } of candidates) {
    if (isTakenOver !== true) origins.set(entries.length, origin);
    if (read !== undefined) {
      const { ino, mtime, mtimeNsec } = read.stat;
      const expected = { ino: ino.toString(), mtime, mtimeNsec };
      contents.set(
        entries.length,
        await ingest.path(read.location, restore(entry, origin), entry.size, expected),
      );
    }
    entries.push(entry);
    if (entries.length % turnEvery !== 0) continue;
    events({ type: 'progress', step: 'scan', done: entries.length });
    await setImmediate();
    if (signal.aborted) throw new CellarError('E_CANCELLED');
  }
  await ingest.drain();
  events({ type: 'progress', step: 'scan', done: entries.length });
  events({ type: 'step-end', step: 'scan' });
  addDigests(entries, contents);
  for (const [index, origin] of origins) entries[index] = restore(entries[index]!, origin);
  repeatFirsts(entries);
  return entries;
}

/** A scanned file whose content nobody knows yet. */
export function readAll(root: ByteString, { entry, stat }: Scanned): Candidate {
  const isContent = entry.type === 'file' && entry.size > 0 && entry.hardlink === undefined;
  return isContent ? { entry, read: { location: (root === '/' ? '' : root) + entry.path, stat } } : { entry };
}

export function mountPointWarning(path: ByteString): Parameters<EventSink>[0] {
  return {
    type: 'warning',
    code: 'W_MOUNT_POINT',
    text: `${toText(path)} is a mount point: left out what is mounted there`,
  };
}

/** Entries between two turns of the event loop, in which answers arrive and a signal can fire. */
const turnEvery = 256;

function addDigests(entries: Entry[], contents: ReadonlyMap<number, Content>): void {
  for (const [index, { digest }] of contents) {
    if (digest === undefined) throw new Error('content was not hashed');
    entries[index] = { ...entries[index]!, digest };
  }
}

function repeatFirsts(entries: Entry[]): void {
  const isFirst = new Set(entries.flatMap(({ hardlink }) => hardlink ?? []));
  const firsts = new Map<ByteString, Entry>();
  for (const [index, entry] of entries.entries()) {
    const { path, hardlink } = entry;
    if (hardlink !== undefined) entries[index] = { ...firsts.get(hardlink)!, path, hardlink };
    else if (isFirst.has(path)) firsts.set(path, entry);
  }
}

/** `exclude`, and the store if it lies in the directory `root` (absolute, without symlinks). */
export function leaveOutStore(
  storeRoot: string,
  root: ByteString,
  exclude: (path: ByteString) => boolean = () => false,
): (path: ByteString) => boolean {
  const store = fromText(storeRoot);
  const prefix = root === '/' ? '/' : `${root}/`;
  if (!store.startsWith(prefix)) return exclude;
  const inside = `/${store.slice(prefix.length)}`;
  return (path) => path === inside || exclude(path);
}
