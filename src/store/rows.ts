/**
 * The database: one table of rows (kind, key, JSON, hash). SQLite keeps them atomic and durable; the hash over
 * each row's canonical JSON finds what `integrity_check` cannot, a flipped bit inside a value. Only the main
 * thread writes, under `db.lock`, and every row written is also appended to the journal.
 */
import type { DatabaseSync } from 'node:sqlite';
import { canonicalJson } from '../core/canonical-json.ts';
import { sha256 } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import { connect, type Statements } from './connection.ts';
import { dropSum, isDamagedAtRest, matchesSum } from './database-sum.ts';
import { withFileLock } from './lock.ts';
import { appendJournal } from './journal.ts';
import { inStore } from './layout.ts';
import { translateSqlite } from './sqlite-errors.ts';

/** What the rows of each kind hold is typed where the kind lives (references.ts, checkouts.ts …). */
export type RowKind =
  | 'image'
  | 'tree'
  | 'blobs'
  | 'unpacked'
  | 'upstream'
  | 'used'
  | 'reference'
  | 'history'
  | 'pin'
  | 'checkout'
  | 'deployment'
  | 'built'
  | 'damaged'
  | 'source';

export interface RowChange {
  readonly kind: RowKind;
  readonly key: string;
  /** `undefined` deletes the row. */
  readonly value: unknown;
}

export interface Rows extends Disposable {
  get<T>(kind: RowKind, key: string): T | undefined;
  /** In key order; `prefix` narrows to keys that begin with it. */
  list<T>(kind: RowKind, prefix?: string): { key: string; value: T }[];
  /** All or nothing, durable on return. @throws E_NO_SPACE, E_DATABASE_DAMAGED, E_STORE_READ_ONLY */
  write(changes: readonly RowChange[]): void;
  /** Read-modify-write: `plan` runs under the writer's lock and sees the newest rows. */
  update<T>(plan: () => { changes: readonly RowChange[]; result: T }): T;
  /** Every row. */
  all(): RowChange[];
  /**
   * Before something is taken for absent: a flipped bit in what a lookup goes by, such as a page of the index, hides rows
   * whose own hash is right. Costs a digest of the database, where it is at rest. @throws E_DATABASE_DAMAGED
   */
  requireWhole(): void;
  /** Keys and problems of rows whose hash does not match, and what SQLite's own check says. */
  check(): { kind: string; key: string; problem: string }[];
}

export function openRows(root: string, options: { readOnly: boolean; immutable?: boolean }): Rows {
  const guard = <T>(work: () => T): T => translateSqlite(root, work);
  const connection = connect(root, { immutable: options.immutable === true });
  const { database, statements } = connection;
  const rows: Rows = {
    get<T>(kind: RowKind, key: string) {
      const row = guard(() => statements.get.get(kind, key)) as { json: string; hash: string } | undefined;
      return row && (parseRow(kind, key, row) as T);
    },
    list<T>(kind: RowKind, prefix = '') {
      const found = guard(() =>
        statements.list.all(kind, prefix, `${prefix}\u{10FFFF}`),
      ) as unknown as RawRow[];
      return found.map((row) => ({ key: row.key, value: parseRow(kind, row.key, row) as T }));
    },
    write(changes) {
      rows.update(() => ({ changes, result: undefined }));
    },
    update(plan) {
      if (options.readOnly) throw new CellarError('E_STORE_READ_ONLY', { details: { store: root } });
      return withFileLock(inStore(root, 'db.lock'), () => {
        const planned = guard(() => {
          database.exec('BEGIN IMMEDIATE');
          // The journal goes first: it may tell of a change that never was (undone below), never miss one that was.
          let written: Disposable | undefined;
          try {
            const result = plan();
            if (result.changes.length > 0) {
              dropSum(root);
              written = appendJournal(root, result.changes);
            }
            apply(statements, result.changes);
            database.exec('COMMIT');
            return result;
          } catch (error) {
            if (database.isTransaction) database.exec('ROLLBACK');
            written?.[Symbol.dispose]();
            throw error;
          }
        });
        if (planned.changes.length > 0) connection.wrote();
        return planned.result;
      });
    },
    all() {
      const found = guard(() => statements.all.all()) as unknown as RawRow[];
      return found.map((row) => ({
        kind: row.kind as RowKind,
        key: row.key,
        value: parseRow(row.kind, row.key, row),
      }));
    },
    requireWhole() {
      if (isDamagedAtRest(root))
        throw new CellarError('E_DATABASE_DAMAGED', { details: { problem: notItsSum } });
    },
    check() {
      return checkRows(root, database, options);
    },
    [Symbol.dispose]() {
      connection[Symbol.dispose]();
    },
  };
  return rows;
}

const notItsSum = 'the file does not match cellar.db.sum';

interface RawRow {
  readonly kind: string;
  readonly key: string;
  readonly json: string;
  readonly hash: string;
}

function apply(statements: Statements, changes: readonly RowChange[]): void {
  for (const { kind, key, value } of changes) {
    if (value === undefined) statements.remove.run(kind, key);
    else {
      const json = canonicalJson(value);
      statements.put.run(kind, key, json, rowHash(kind, key, json));
    }
  }
}

export function rowHash(kind: string, key: string, json: string): string {
  return sha256(`${kind}\n${key}\n${json}`);
}

function parseRow(kind: string, key: string, row: { json: string; hash: string }): unknown {
  if (rowHash(kind, key, row.json) !== row.hash) {
    throw new CellarError('E_DATABASE_DAMAGED', {
      details: { problem: `row ${kind} '${key}' does not match its hash` },
    });
  }
  return JSON.parse(row.json);
}

function checkRows(
  root: string,
  database: DatabaseSync,
  { immutable = false }: { readonly immutable?: boolean },
): { kind: string; key: string; problem: string }[] {
  const problems: { kind: string; key: string; problem: string }[] = [];
  try {
    for (const row of database.prepare('PRAGMA integrity_check').all() as { integrity_check: string }[]) {
      if (row.integrity_check !== 'ok')
        problems.push({ kind: 'database', key: '', problem: row.integrity_check });
    }
    for (const row of database
      .prepare('SELECT kind, key, json, hash FROM rows')
      .iterate() as Iterable<unknown>) {
      const { kind, key, json, hash } = row as RawRow;
      if (rowHash(kind, key, json) !== hash) problems.push({ kind, key, problem: 'does not match its hash' });
    }
  } catch (error) {
    problems.push({ kind: 'database', key: '', problem: String((error as Error).message) });
  }
  // A writer between two looks, at the sum and at the file, would pass for damage.
  const isSame = (): boolean => matchesSum(root);
  if (problems.length === 0 && !(immutable ? isSame() : withFileLock(inStore(root, 'db.lock'), isSame)))
    problems.push({ kind: 'database', key: '', problem: notItsSum });
  return problems;
}
