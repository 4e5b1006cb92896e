/**
 * The journal: every row ever written, as text, one JSON line with its own hash. It is read only when the
 * database is damaged: replaying it gives the rows back. A torn last line (power cut) is passed over.
 */
import { closeSync, existsSync, fdatasyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { canonicalJson } from '../core/canonical-json.ts';
import { sha256 } from '../core/digest.ts';
import { inStore } from './layout.ts';
import type { RowChange, RowKind } from './rows.ts';

export function appendJournal(root: string, changes: readonly RowChange[]): void {
  const fd = openSync(inStore(root, 'journal'), 'a', 0o600);
  try {
    writeSync(fd, changes.map(journalLine).join(''));
    fdatasyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** The newest value of every row that the journal tells of, and the number of lines that could not be read. */
export function replayJournal(root: string): { rows: RowChange[]; unreadable: number } {
  const file = inStore(root, 'journal');
  const newest = new Map<string, RowChange>();
  let unreadable = 0;
  for (const line of existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []) {
    if (line === '') continue;
    const change = parseLine(line);
    if (change === undefined) unreadable++;
    else newest.set(`${change.kind}\n${change.key}`, change);
  }
  return { rows: [...newest.values()].filter((change) => change.value !== undefined), unreadable };
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
