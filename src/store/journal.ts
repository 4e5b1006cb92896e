/**
 * The journal: every row ever written, as text, one JSON line with its own hash. It is read only when the
 * database is damaged: replaying it gives the rows back. A torn last line (power cut) is passed over.
 */
import {
  existsSync,
  fdatasyncSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { fromText } from '../core/bytes.ts';
import { writeFileAtomic } from '../sys/atomic.ts';
import { closeQuietly } from '../sys/close.ts';
import { canonicalJson } from '../core/canonical-json.ts';
import { sha256 } from '../core/digest.ts';
import { inStore } from './layout.ts';
import { withFileLock } from './lock.ts';
import type { RowChange, RowKind, Rows } from './rows.ts';

/** Durable on return; dispose what is returned to take the lines back, while still holding the writer's lock. */
export function appendJournal(root: string, changes: readonly RowChange[]): Disposable {
  const file = inStore(root, 'journal');
  const fd = openSync(file, 'a', 0o600);
  const before = dropTornLine(file, fstatSync(fd).size);
  const takeBack = (): void => truncateSync(file, before);
  try {
    // Not writeSync, which a disk that fills up cuts short without an error.
    writeFileSync(fd, changes.map(journalLine).join(''));
    fdatasyncSync(fd);
    return { [Symbol.dispose]: takeBack };
  } catch (error) {
    takeBack();
    throw error;
  } finally {
    closeQuietly(fd);
  }
}

/**
 * A journal that says exactly what `rows` say, for one that was damaged or has grown. The lock of writers is held
 * meanwhile: a line that somebody appended to the old journal would be lost with it.
 */
export function rewriteJournal(root: string, rows: Pick<Rows, 'all'>): void {
  withFileLock(inStore(root, 'db.lock'), () => {
    const lines = rows.all().map(journalLine);
    writeFileAtomic(fromText(inStore(root, 'journal')), lines.join(''), { mode: 0o600 });
  });
}

/** Above this it is worth writing the journal anew: most of what it tells is over. */
const compactBytes = 1 << 20;

export function compactJournal(root: string, rows: Pick<Rows, 'all'>): void {
  const size = statSync(inStore(root, 'journal'), { throwIfNoEntry: false })?.size ?? 0;
  if (size > compactBytes) rewriteJournal(root, rows);
}

/** The newest value of every row that the journal tells of, and the number of lines that could not be read. */
export function replayJournal(root: string): { rows: RowChange[]; unreadable: number } {
  const file = inStore(root, 'journal');
  const newest = new Map<string, RowChange>();
  let unreadable = 0;
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
  for (const [at, line] of lines.entries()) {
    if (line === '') continue;
    const change = parseLine(line);
    if (change === undefined) unreadable += at === lines.length - 1 ? 0 : 1;
    else newest.set(`${change.kind}\n${change.key}`, change);
  }
  return { rows: [...newest.values()].filter((change) => change.value !== undefined), unreadable };
}

/** A power cut may leave part of a last line; what follows must not be glued to it. Returns the size then. */
function dropTornLine(file: string, size: number): number {
  if (size === 0 || endsInNewline(file, size)) return size;
  const text = readFileSync(file);
  const whole = text.lastIndexOf(0x0a) + 1;
  truncateSync(file, whole);
  return whole;
}

function endsInNewline(file: string, size: number): boolean {
  const fd = openSync(file, 'r');
  try {
    const last = Buffer.alloc(1);
    readSync(fd, last, 0, 1, size - 1);
    return last[0] === 0x0a;
  } finally {
    closeQuietly(fd);
  }
}

function journalLine({ kind, key, value }: RowChange): string {
  const json = canonicalJson([kind, key, value ?? null]);
  return `${sha256(json)} ${json}\n`;
}

function parseLine(line: string): RowChange | undefined {
  const json = line.slice(65);
  if (sha256(json) !== line.slice(0, 64)) return undefined;
  const [kind, key, value] = JSON.parse(json) as [RowKind, string, unknown];
  return { kind, key, value: value ?? undefined };
}
