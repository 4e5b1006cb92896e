/** Scratch directories that go away with the test, whatever lies in them (mode 0000, immutable names, mounts not). */
import { mkdtempSync, realpathSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Scratch extends Disposable {
  readonly path: string;
}

/** A new directory under `parent` (default the system's temporary directory, `$TMPDIR`). */
export function makeScratch(name: string, parent = tmpdir()): Scratch {
  const path = realpathSync(mkdtempSync(join(parent, `cellar-${name}-`)));
  return {
    path,
    [Symbol.dispose]() {
      remove(path);
    },
  };
}

/** `rm -rf` that also opens directories closed to their owner. Never crosses into a mount. */
export function remove(path: string): void {
  const first = spawnSync('rm', ['-rf', '--one-file-system', '--', path]);
  if (first.status === 0) return;
  spawnSync('chmod', ['-R', 'u+rwX', '--', path]);
  spawnSync('rm', ['-rf', '--one-file-system', '--', path]);
}
