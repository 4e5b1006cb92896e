/**
 * The connection to the database: one for each store in a process, however many handles there are, because opening and
 * settling cost more than the few writes of a command. Whoever has many commands to run (`apply`, `sync`) keeps a handle.
 */
import { statSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { settle, settleLast } from './database-sum.ts';
import { inStore } from './layout.ts';
import { translateSqlite } from './sqlite-errors.ts';

export interface Connection extends Disposable {
  readonly database: DatabaseSync;
  readonly statements: Statements;
  /** Call after each write, holding `db.lock`. */
  wrote(): void;
}

export interface Statements {
  readonly get: StatementSync;
  readonly list: StatementSync;
  readonly all: StatementSync;
  readonly put: StatementSync;
  readonly remove: StatementSync;
}

/**
 * Settling (database-sum.ts) is done when the process is through with the store. One that stays (a server) does it from
 * time to time, so that the WAL stays small.
 */
const mostUnsettled = 64;

interface Shared {
  readonly connection: Connection;
  /** Of the file: one that was put in its place is another database. */
  readonly inode: bigint;
  users: number;
}

const open = new Map<string, Shared>();

/** `immutable`: the store cannot be written to, by anybody. Dispose when through. @throws E_DATABASE_DAMAGED, E_NO_SPACE, E_IO */
export function connect(root: string, { immutable }: { readonly immutable: boolean }): Connection {
  if (immutable) return { ...connectAnew(root, immutableUri(root)), wrote: () => undefined };
  const file = inStore(root, 'cellar.db');
  const inode = (): bigint | undefined => statSync(file, { bigint: true, throwIfNoEntry: false })?.ino;
  let shared = open.get(root);
  if (shared === undefined || shared.inode !== inode()) {
    const connection = connectToWrite(root, file);
    shared = { connection, inode: inode() ?? 0n, users: 0 };
    open.set(root, shared);
  }
  return oneOf(root, shared);
}

function oneOf(root: string, shared: Shared): Connection {
  shared.users += 1;
  return {
    ...shared.connection,
    [Symbol.dispose]() {
      shared.users -= 1;
      if (shared.users > 0) return;
      if (open.get(root) === shared) open.delete(root);
      shared.connection[Symbol.dispose]();
    },
  };
}

function connectToWrite(root: string, file: string): Connection {
  const own = connectAnew(root, file);
  let unsettled = 0;
  return {
    ...own,
    wrote() {
      unsettled += 1;
      if (unsettled < mostUnsettled) return;
      settle(root, own.database);
      unsettled = 0;
    },
    [Symbol.dispose]() {
      if (unsettled > 0) settleLast(root, own.database);
      own[Symbol.dispose]();
    },
  };
}

function connectAnew(root: string, file: string | URL): Omit<Connection, 'wrote'> {
  return translateSqlite(root, () => {
    using opened = new DisposableStack();
    const database = opened.use(
      file instanceof URL
        ? new DatabaseSync(file, { readOnly: true })
        : new DatabaseSync(file, { timeout: 30_000 }),
    );
    if (!(file instanceof URL)) prepareToWrite(database);
    const statements = prepare(database);
    opened.move();
    return { database, statements, [Symbol.dispose]: () => database.close() };
  });
}

const schema = `CREATE TABLE IF NOT EXISTS rows (kind TEXT NOT NULL, key TEXT NOT NULL, json TEXT NOT NULL,
  hash TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID`;

function prepareToWrite(database: DatabaseSync): void {
  database.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0');
  database.exec(schema);
}

/** A store that cannot be written needs no locks: `immutable=1` also works without write access to WAL files. */
function immutableUri(root: string): URL {
  const url = new URL('file:///');
  url.pathname = inStore(root, 'cellar.db');
  url.searchParams.set('immutable', '1');
  return url;
}

function prepare(database: DatabaseSync): Statements {
  return {
    get: database.prepare('SELECT json, hash FROM rows WHERE kind = ? AND key = ?'),
    list: database.prepare(
      'SELECT key, json, hash FROM rows WHERE kind = ? AND key >= ? AND key < ? ORDER BY key',
    ),
    all: database.prepare('SELECT kind, key, json, hash FROM rows ORDER BY kind, key'),
    put: database.prepare('INSERT OR REPLACE INTO rows (kind, key, json, hash) VALUES (?, ?, ?, ?)'),
    remove: database.prepare('DELETE FROM rows WHERE kind = ? AND key = ?'),
  };
}
