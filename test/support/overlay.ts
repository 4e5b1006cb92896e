/** Overlays mounted over a small tree of every kind, and what is computed of them compared with what the kernel shows. */
import assert from 'node:assert/strict';
import { linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import type { ByteString } from '../../src/core/bytes.ts';
import { sha256 } from '../../src/core/digest.ts';
import { makedev } from '../../src/core/rdev.ts';
import { mknod } from '../../src/sys/metadata.ts';
import { attachMount, createMount, unmount } from '../../src/sys/mount-api.ts';
import { mountOverlay } from '../../src/sys/overlay.ts';
import { setXattr } from '../../src/sys/xattr.ts';
import type { Candidate } from '../../src/tree/candidate.ts';
import { scanDirectory } from '../../src/tree/directory.ts';
import { formatBits, type Entry } from '../../src/tree/entry.ts';
import { readOverlay } from '../../src/tree/overlay-upper.ts';
import { needs } from './run.ts';

export const skipOverlays = needs({ root: true });

/** Checks what `readOverlay` computes against a scan of the mount. @returns the paths whose content has to be read */
export async function comparedReads(overlay: Overlay): Promise<string[]> {
  const found = await readOverlay(overlay.layers);
  assert.deepEqual(strip(found, overlay.view), scanned(overlay.view));
  return found!.filter(({ read }) => read !== undefined).map(({ entry }) => entry.path);
}

/** Entries as they would be committed. */
export function strip(found: readonly Candidate[] | undefined, view: string): Entry[] {
  assert.ok(found !== undefined, 'the layers explain what is shown');
  const firsts = new Map<ByteString, Entry>();
  return found.map(({ entry, read }) => {
    const whole =
      entry.hardlink !== undefined
        ? { ...firsts.get(entry.hardlink)!, path: entry.path, hardlink: entry.hardlink }
        : read === undefined
          ? entry
          : { ...entry, digest: digestOf(view, entry.path) };
    firsts.set(entry.path, whole);
    return whole;
  });
}

export function scanned(root: string): Entry[] {
  return Array.from(scanDirectory(root), ({ entry }) =>
    entry.type === 'file' && entry.size > 0 ? { ...entry, digest: digestOf(root, entry.path) } : entry,
  );
}

function digestOf(root: string, path: ByteString): string {
  return sha256(readFileSync(root + path));
}

interface Lower extends Disposable {
  readonly path: string;
  readonly entries: readonly Entry[];
}

export function makeLower(samefs: boolean): Lower {
  const stack = new DisposableStack();
  const path = stack.adopt(mkdtempSync('/var/tmp/cellar-lower-'), (made) =>
    rmSync(made, { recursive: true, force: true }),
  );
  if (!samefs) {
    using tmpfs = createMount('tmpfs', { parameters: [] });
    attachMount(tmpfs, path);
    stack.defer(() => unmount(path, { detach: true }));
  }
  mkdirSync(`${path}/d1/s/deep`, { recursive: true });
  mkdirSync(`${path}/d2`);
  writeFileSync(`${path}/d1/a`, 'content a');
  writeFileSync(`${path}/d1/big`, Buffer.alloc(300_000, 'big'));
  writeFileSync(`${path}/d1/empty`, '');
  writeFileSync(`${path}/d1/s/deep/f`, 'deep file');
  writeFileSync(`${path}/d1/s/g`, 'g');
  writeFileSync(`${path}/d2/x`, 'x marks');
  setXattr(`${path}/d2/x`, 'user.colour', 'blue');
  symlinkSync('d1/a', `${path}/link`);
  mknod(`${path}/null`, formatBits.char | 0o666, makedev(1, 3));
  writeFileSync(`${path}/hard1`, 'three names');
  linkSync(`${path}/hard1`, `${path}/d1/hard2`);
  linkSync(`${path}/hard1`, `${path}/d2/hard3`);
  writeFileSync(`${path}/d2/pair1`, 'two names');
  linkSync(`${path}/d2/pair1`, `${path}/d2/pair2`);
  return { path, entries: scanned(path), [Symbol.dispose]: () => stack.dispose() };
}

export interface Overlay extends Disposable {
  readonly view: string;
  readonly layers: Parameters<typeof readOverlay>[0];
  remount(): void;
}

export function makeOverlay(lower: Lower): Overlay {
  const scratch = mkdtempSync('/var/tmp/cellar-overlay-');
  const [upper, work, view] = ['upper', 'work', 'view'].map((name) => `${scratch}/${name}`) as [
    string,
    string,
    string,
  ];
  for (const path of [upper, work, view]) mkdirSync(path);
  const mount = (): void => mountOverlay({ lower: [lower.path], upper, work, target: view });
  mount();
  return {
    view,
    layers: { lower: lower.entries, lowerRoot: '/', upper, work, view },
    remount() {
      unmount(view);
      mount();
    },
    [Symbol.dispose]() {
      unmount(view, { detach: true });
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}
