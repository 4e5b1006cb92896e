import assert from 'node:assert/strict';
import { appendFileSync, closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { quote, sh } from '../../test/support/run.ts';
import { makeScratch } from '../../test/support/scratch.ts';
import { tryFlock } from '../sys/flock.ts';
import { appendJournal, replayJournal, rewriteJournal } from './journal.ts';
import { inStore } from './layout.ts';
import type { RowChange } from './rows.ts';

const change = (key: string) => ({ kind: 'used', key, value: { at: 1 } }) as const;

test('what was appended is replayed, and can be taken back', () => {
  using scratch = makeScratch('journal');
  appendJournal(scratch.path, [change('a'), { ...change('b'), value: undefined }]);
  appendJournal(scratch.path, [change('c')])[Symbol.dispose]();
  assert.deepEqual(replayJournal(scratch.path), { rows: [change('a')], unreadable: 0 });
});

test('a line that was torn is not glued to the next, and a changed one says nothing', () => {
  using scratch = makeScratch('journal');
  const file = inStore(scratch.path, 'journal');
  appendJournal(scratch.path, [change('a')]);
  appendFileSync(file, '0123 ["used",');
  assert.deepEqual(replayJournal(scratch.path), { rows: [change('a')], unreadable: 0 });
  appendJournal(scratch.path, [change('b')]);
  assert.deepEqual(replayJournal(scratch.path), { rows: [change('a'), change('b')], unreadable: 0 });
  writeFileSync(file, readFileSync(file, 'utf8').replace('"a"', '"c"'));
  assert.deepEqual(replayJournal(scratch.path), { rows: [change('b')], unreadable: 1 });
});

test('nobody can write while it is written anew: what was appended to the old one would be lost with it', () => {
  using scratch = makeScratch('journal');
  const writer = openSync(inStore(scratch.path, 'db.lock'), 'a');
  const all = (): RowChange[] => {
    assert.equal(tryFlock(writer, 'exclusive'), false);
    return [change('a')];
  };
  rewriteJournal(scratch.path, { all });
  assert.equal(tryFlock(writer, 'exclusive'), true);
  closeSync(writer);
  assert.deepEqual(replayJournal(scratch.path), { rows: [change('a')], unreadable: 0 });
});

test('a write that is cut short is an error, and leaves the journal as it was', async () => {
  using scratch = makeScratch('journal');
  const root = join(scratch.path, 'store');
  mkdirSync(root);
  appendJournal(root, [change('a')]);
  const before = readFileSync(inStore(root, 'journal'), 'utf8');
  const script = join(scratch.path, 'append.ts');
  writeFileSync(
    script,
    `import { appendJournal } from ${JSON.stringify(import.meta.resolve('./journal.ts'))};
     const changes = Array.from({ length: 100 }, (_, at) => ({ kind: 'used', key: String(at), value: { at } }));
     try {
       appendJournal(${JSON.stringify(root)}, changes);
     } catch (error) {
       console.log(error.code);
     }`,
  );
  // The limit is 2,048 bytes: as on a disk that fills up, the first write(2) takes what there is room for.
  const said = await sh(
    `trap '' XFSZ; ulimit -f 4; exec ${quote(process.execPath)} --disable-warning=ExperimentalWarning ${quote(script)}`,
    { env: { NODE_DISABLE_COMPILE_CACHE: '1' } },
  );
  assert.equal(said, 'EFBIG\n');
  assert.equal(readFileSync(inStore(root, 'journal'), 'utf8'), before);
});
