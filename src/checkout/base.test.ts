/** A base serves as long as nobody has touched what is in it, and nothing takes it away from who stands on it. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { makeScratch, memory } from '../../test/support/scratch.ts';
import { storeImage } from '../../test/support/stored-image.ts';
import { toText } from '../core/bytes.ts';
import { sha256 } from '../core/digest.ts';
import { ignoreEvents } from '../core/events.ts';
import { markDamaged } from '../store/damaged.ts';
import { objectFile } from '../store/layout.ts';
import { openStore, type Store } from '../store/store.ts';
import { dropUnusedBases, ensureBase } from './base.ts';
import { nothingSkipped } from './port.ts';
import type { BaseRequest } from './private.ts';

let scratch: ReturnType<typeof makeScratch>;
let store: Store;
let tree: string;
let held: DisposableStack;
/** How many bases were made. */
let made: number;

beforeEach(async () => {
  scratch = makeScratch('base', memory);
  store = openStore(join(scratch.path, 'store'), { create: true });
  const { record } = await storeImage(store, 'app', 'content');
  tree = record.content;
  held = new DisposableStack();
  made = 0;
});
afterEach(() => {
  held.dispose();
  store[Symbol.dispose]();
  scratch[Symbol.dispose]();
});

/** Directory of the base that serves. Let go of at once, unless it is to be held. */
async function ensure(options: Partial<BaseRequest> & { readonly hold?: boolean } = {}): Promise<string> {
  const { hold = false, ...rest } = options;
  const request = {
    ...{ store, tree, id: `id${made}`, verify: 'never', signal: new AbortController().signal },
    ...{
      subpath: '/',
      mtime: 'keep',
      idmap: undefined,
      note: () => undefined,
      events: ignoreEvents,
      ...rest,
    },
    keep: (resource: Disposable) => (hold ? void held.use(resource) : resource[Symbol.dispose]()),
  } as unknown as BaseRequest;
  const { path } = await ensureBase(request, 'linked', async (directory) => {
    mkdirSync(join(toText(directory), 'sub'), { recursive: true });
    const file = join(toText(directory), 'sub/file');
    writeFileSync(file, 'content');
    // In memory a base is whole within the millisecond of its last file, and counts as touched then.
    while (Date.now() <= statSync(file).ctimeMs);
    made++;
    return nothingSkipped;
  });
  return toText(path).replace(/\/tree$/, '');
}

/** Changes the inode until its time says so: the clock of inodes lags behind. */
function touch(home: string): void {
  const file = join(home, 'tree/sub/file');
  const at = Number(readFileSync(join(home, 'at'), 'latin1'));
  while (statSync(file).ctimeMs <= at) chmodSync(file, 0o600);
}

test('a base that nobody touched serves again, one for each way of showing the tree', async () => {
  const home = await ensure();
  assert.equal(await ensure(), home);
  assert.equal(made, 1);
  assert.notEqual(await ensure({ mtime: 'clamp' }), home);
  assert.notEqual(await ensure({ subpath: '/sub' }), home);
  assert.equal(made, 3);
});

test('one whose files changed is made again, unless somebody is about to stand on it', async () => {
  const home = await ensure({ hold: true });
  touch(home);
  await ensure();
  assert.equal(made, 1);
  held.dispose();
  held = new DisposableStack();
  assert.equal(await ensure(), home);
  assert.equal(made, 2);
  assert.equal(statSync(join(home, 'tree/sub/file')).mode & 0o777, 0o644 & ~process.umask());
  await ensure();
  assert.equal(made, 2);
});

test('half of one, without the mark that it is whole, is in nobody’s way', async () => {
  const home = await ensure();
  rmSync(join(home, 'at'));
  writeFileSync(join(home, 'tree/rest'), '');
  await ensure();
  assert.equal(made, 2);
  assert.ok(!existsSync(join(home, 'tree/rest')));
});

test('what was being made and failed is no base', async () => {
  const failing = ensureBase(
    {
      ...({} as BaseRequest),
      store,
      tree,
      id: 'x',
      verify: 'never',
      subpath: '/',
      mtime: 'keep',
      idmap: undefined,
      signal: new AbortController().signal,
      note: () => undefined,
      keep: () => undefined,
    },
    'linked',
    async () => await Promise.reject<typeof nothingSkipped>(new Error('killed')),
  );
  await assert.rejects(failing, /killed/);
  await ensure();
  assert.equal(made, 1);
});

test('of damaged objects none is shown, whatever there is to verify', async () => {
  await ensure();
  markDamaged(store, [{ object: sha256('content') }]);
  for (const verify of ['auto', 'always', 'never'] as const)
    await assert.rejects(ensure({ verify }), { code: 'E_OBJECT_DAMAGED' }, verify);
});

test('who asks for it has every object hashed, also where a base is ready', async () => {
  await ensure({ verify: 'always' });
  const file = objectFile(store.root, sha256('content'));
  chmodSync(file, 0o644);
  writeFileSync(file, 'Content');
  await ensure();
  await assert.rejects(ensure({ verify: 'always' }), { code: 'E_OBJECT_DAMAGED' });
  assert.equal(made, 1);
});

test('nobody needs it: it goes; it is held, or in the making: it stays', async () => {
  const home = await ensure({ hold: true });
  const making = `${home}.other`;
  mkdirSync(making);
  await dropUnusedBases(store);
  assert.ok(existsSync(join(home, 'tree/sub/file')));
  held.dispose();
  held = new DisposableStack();
  await dropUnusedBases(store);
  assert.deepEqual(readdirSync(join(home, '..')), [making.split('/').at(-1)]);
});
