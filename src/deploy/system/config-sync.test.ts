import assert from 'node:assert/strict';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { syncConfig, type SyncedConfig } from './config-sync.ts';

type Files = Readonly<Record<string, string>>;

interface Lab {
  readonly sync: (ours?: string) => Promise<SyncedConfig>;
  readonly result: () => Files;
  readonly at: (root: string, path: string) => string;
}

/** `old` as delivered, what its user made of it, and the new version. */
function makeLab(context: TestContext, { old, user, next }: { old: Files; user: Files; next: Files }): Lab {
  const scratch = mkdtempSync(join(tmpdir(), 'cellar-config-'));
  context.after(() => rmSync(scratch, { recursive: true }));
  const at = (root: string, path: string): string => join(scratch, root, 'etc', path);
  for (const [root, files] of Object.entries({ oldOrig: old, oldRun: user, newOrig: next })) {
    mkdirSync(at(root, '.'), { recursive: true });
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(at(root, path)), { recursive: true });
      writeFileSync(at(root, path), content);
    }
  }
  return {
    at,
    async sync(ours) {
      cpSync(join(scratch, 'newOrig'), join(scratch, 'newRun'), { recursive: true });
      const [oldOrig, oldRun, newOrig, newRun] = ['oldOrig', 'oldRun', 'newOrig', 'newRun'].map((root) =>
        join(scratch, root),
      ) as [string, string, string, string];
      return syncConfig({
        ...{ oldOrig, oldRun, newOrig, newRun },
        ours: new Set(ours === undefined ? [] : [ours]),
        signal: new AbortController().signal,
      });
    },
    result: () =>
      Object.fromEntries(
        readdirSync(at('newRun', '.'), { recursive: true, encoding: 'utf8' })
          .filter((path) => statSync(at('newRun', path)).isFile())
          .sort()
          .map((path) => [path, readFileSync(at('newRun', path), 'utf8')]),
      ),
  };
}

test('each path keeps the change that one side made', async (context) => {
  const lab = makeLab(context, {
    old: { kept: '1', changed: '1', updated: '1', removed: '1', dropped: '1' },
    user: { kept: '1', changed: 'mine', updated: '1', dropped: '1', 'conf.d/own': 'mine' },
    next: { kept: '1', changed: '1', updated: '2', removed: '1', added: '2' },
  });
  const { carried, conflicts } = await lab.sync();
  assert.deepEqual(conflicts, []);
  assert.deepEqual(lab.result(), {
    added: '2',
    changed: 'mine',
    'conf.d/own': 'mine',
    kept: '1',
    updated: '2',
  });
  // changed, removed, conf.d and own
  assert.equal(carried, 4);
});

test("where both changed one, the user's stays and the new one lies beside it", async (context) => {
  const lab = makeLab(context, {
    old: { both: '1', gone: '1', dropped: '1' },
    user: { both: 'mine', dropped: 'mine', 'left.cellar-new': 'old' },
    next: { both: '2', gone: '2' },
  });
  const { conflicts } = await lab.sync();
  assert.deepEqual(conflicts, ['/etc/both', '/etc/dropped', '/etc/gone']);
  assert.deepEqual(lab.result(), {
    both: 'mine',
    'both.cellar-new': '2',
    dropped: 'mine',
    'gone.cellar-new': '2',
  });
});

test('a file in place of a directory, and a directory in place of a file', async (context) => {
  const lab = makeLab(context, {
    old: { 'a/in': '1', b: '1' },
    user: { a: 'mine', 'b/in': 'mine' },
    next: { 'a/in': '1', b: '1' },
  });
  assert.deepEqual((await lab.sync()).conflicts, []);
  assert.deepEqual(lab.result(), { a: 'mine', 'b/in': 'mine' });
});

test('what we wrote ourselves is no change, and neither is a time', async (context) => {
  const lab = makeLab(context, {
    old: { fstab: '1', same: '1' },
    user: { fstab: '1 and ours', same: '1' },
    next: { fstab: '2', same: '1' },
  });
  assert.deepEqual(await lab.sync('/fstab'), { carried: 0, conflicts: [] });
  assert.equal(lab.result()['fstab'], '2');
});

test('metadata is part of what was changed', async (context) => {
  const lab = makeLab(context, { old: { secret: '1' }, user: { secret: '1' }, next: { secret: '1' } });
  chmodSync(lab.at('oldRun', 'secret'), 0o600);
  assert.equal((await lab.sync()).carried, 1);
  assert.equal(statSync(lab.at('newRun', 'secret')).mode & 0o777, 0o600);
});

test('names that are no text, symlinks and empty directories come over, too', async (context) => {
  const lab = makeLab(context, { old: { same: '1' }, user: { same: '1' }, next: { same: '1' } });
  const bytes = (root: string): Buffer =>
    Buffer.concat([Buffer.from(lab.at(root, 'n')), Buffer.from([0xff])]);
  writeFileSync(bytes('oldRun'), 'mine');
  symlinkSync('/nowhere', lab.at('oldRun', 'link'));
  mkdirSync(lab.at('oldRun', 'empty'), { mode: 0o710 });
  assert.deepEqual(await lab.sync(), { carried: 3, conflicts: [] });
  assert.equal(readFileSync(bytes('newRun'), 'utf8'), 'mine');
  assert.equal(readlinkSync(lab.at('newRun', 'link')), '/nowhere');
  assert.equal(statSync(lab.at('newRun', 'empty')).mode & 0o777, 0o710);
});
