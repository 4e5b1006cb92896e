/** The database made anew from the journal; the damaged one is kept beside it until the next repair. */
import { renameSync, rmSync, statSync } from 'node:fs';
import { inStore } from '../layout.ts';
import { replayJournal } from '../journal.ts';
import { withFileLock } from '../lock.ts';
import { openRows } from '../rows.ts';

/** How many rows came back, and how many journal lines could not be read. Close the store before. */
export function rebuildDatabase(root: string): { rows: number; unreadable: number } {
  const file = inStore(root, 'cellar.db');
  const { rows, unreadable } = replayJournal(root);
  withFileLock(inStore(root, 'db.lock'), () => {
    for (const part of ['-wal', '-shm', '.sum']) rmSync(`${file}${part}`, { force: true });
    if (statSync(file, { throwIfNoEntry: false }) !== undefined) renameSync(file, `${file}.damaged`);
  });
  using fresh = openRows(root, { readOnly: false });
  fresh.write(rows);
  return { rows: rows.length, unreadable };
}
