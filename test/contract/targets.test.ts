/** What every target promises (src/deploy/port.ts): the engine relies on it after crashes, whatever the target is. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { isCellarError } from '../../src/core/errors.ts';
import { ignoreEvents } from '../../src/core/events.ts';
import type { Target, Version, Workbench } from '../../src/deploy/port.ts';
import { openTarget } from '../../src/deploy/targets.ts';
import { openWorkbench } from '../../src/ops/deploy/workbench.ts';
import type { Context } from '../../src/ops/context.ts';
import { importImage } from '../../src/ops/import.ts';
import { resolveImage } from '../../src/store/resolve.ts';
import { openStore } from '../../src/store/store.ts';
import { scratchDirectory, scratchFilesystem } from '../support/filesystem.ts';
import { needs } from '../support/run.ts';

interface Kind {
  readonly kind: string;
  /** Name of the target, from an empty directory. */
  readonly target: (directory: string) => string;
  readonly skip: string | false;
  readonly onBtrfs?: true;
  /** What it leaves in the directory on purpose. */
  readonly leaves?: readonly string[];
}

const kinds: readonly Kind[] = [
  { kind: 'dir', target: (directory) => `dir:${directory}/app`, skip: false },
  { kind: 'machine', target: () => 'machine:web', skip: needs({ root: true }) },
  { kind: 'tar', target: (directory) => `tar:${directory}/app.tar`, skip: false },
  { kind: 'cpio', target: (directory) => `cpio:${directory}/app.cpio`, skip: false },
  { kind: 'oci', target: (directory) => `oci:${directory}/app`, skip: false },
  {
    kind: 'system',
    target: (directory) => `system:${directory}`,
    skip: needs({ root: true, programs: ['btrfs', 'mkfs.btrfs'] }),
    onBtrfs: true,
    leaves: ['state'],
  },
];

for (const { kind, target: nameIn, skip, onBtrfs, leaves = [] } of kinds)
  describe(`${kind}:`, { skip }, () => {
    test('stages unseen, switches again and again, and leaves nothing', async () => {
      using scratch = scratchDirectory();
      using filesystem = onBtrfs === true ? scratchFilesystem('btrfs', 300) : undefined;
      const directory = filesystem?.path ?? join(scratch.path, 'place');
      mkdirSync(directory, { recursive: true });
      process.env['CELLAR_MACHINES'] = directory;
      const context: Context = {
        storeRoot: join(scratch.path, 'store'),
        signal: new AbortController().signal,
        events: ignoreEvents,
      };
      const versions: Version[] = [];
      for (const number of [1, 2]) versions.push(await makeVersion(context, scratch.path, number));
      using store = openStore(context.storeRoot);
      const open = (): Promise<Target> => openTarget(nameIn(directory), { force: false });
      // A workbench is lent for one deployment.
      const lent = async (work: (target: Target, bench: Workbench) => Promise<unknown>): Promise<void> => {
        await using bench = openWorkbench(context, store);
        await work(await open(), bench);
      };
      const stage = async (version: Version): Promise<void> =>
        await lent((target, bench) => target.stage(version, bench));
      const activate = async (id: string): Promise<void> =>
        await lent((target, bench) => target.activate(id, bench));
      const discard = async (id: string): Promise<void> =>
        await whenUnseen(async () => await lent((target, bench) => target.discard(id, bench)));
      const deactivate = async (): Promise<void> => await lent((target, bench) => target.deactivate(bench));

      const [first, second] = versions as [Version, Version];
      const active = async (): Promise<string | undefined> => (await (await open()).look()).active;

      assert.equal(await active(), undefined);
      await discard('9-00000000');
      await stage(first);
      assert.equal(await active(), undefined, 'staging is not seen');
      for (let turn = 0; turn < 2; turn++) {
        await activate(first.id);
        assert.equal(await active(), first.id);
      }
      await stage(second);
      assert.equal(await active(), first.id, 'staging is not seen');
      await discard(second.id);
      await discard(second.id);
      await stage(second);
      for (const { id } of [second, first, second]) {
        await activate(id);
        assert.deepEqual([await active(), (await (await open()).look()).stale ?? false], [id, false]);
      }
      await discard(first.id);
      assert.equal(await active(), second.id);
      const tree = (await open()).directory?.();
      if (tree !== undefined) assert.equal(statSync(join(tree, 'etc/2')).isFile(), true);
      await deactivate();
      assert.equal(await active(), undefined);
      await discard(second.id);
      await deactivate();
      assert.deepEqual(readdirSync(directory), leaves);
    });
  });

/** Whatever runs beside this may have a mount namespace of its own, where a mount lives on for a moment. */
async function whenUnseen(discard: () => Promise<void>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return await discard();
    } catch (error) {
      const lingers = isCellarError(error, 'E_CHECKOUT_BUSY') && error.details['lingers'] === true;
      if (!lingers || tries === 200) throw error;
      await setTimeout(100);
    }
  }
}

async function makeVersion(context: Context, scratch: string, number: number): Promise<Version> {
  const source = join(scratch, `tree-${number}`);
  mkdirSync(join(source, 'etc'), { recursive: true });
  writeFileSync(join(source, `etc/${number}`), String(number));
  const reference = `app:${number}`;
  await importImage(context, { source, reference });
  using store = openStore(context.storeRoot);
  const { record } = resolveImage(store, reference, {});
  const id = `${number}-${record.content.slice(0, 8)}`;
  return {
    id,
    reference,
    record,
    tree: record.content,
    writable: false,
    parameters: {},
    deploymentRecord: '{}\n',
  };
}
