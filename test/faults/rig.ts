/** What the fault tests share: a small store with two references, and the questions asked of it after each fault. */
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { cellar, cellarOk, cellarProgram } from '../support/cellar.ts';
import { sh, quote } from '../support/run.ts';
import { makeScratch, type Scratch } from '../support/scratch.ts';

import { buildTree, nextVersion, type TestTree } from '../support/tree.ts';

export interface Rig extends Disposable {
  readonly path: string;
  /** Holds `old` (first version) and `other` (the same tree, so that something is shared). */
  readonly store: string;
  readonly old: TestTree;
  readonly next: TestTree;
  /** The two versions as tar files. */
  readonly oldTar: string;
  readonly nextTar: string;
  /** SHA-256 of `export old -`. */
  readonly exported: string;
}

/** `parent` is where the store is to lie; trees and tar files lie in `$TMPDIR`. */
export async function makeRig(options: { files: number; seed: number; parent?: string }): Promise<Rig> {
  const { files, seed, parent } = options;
  using stack = new DisposableStack();
  const scratch: Scratch = stack.use(makeScratch('faults'));
  const old = stack.use(buildTree({ files, seed, parent: scratch.path, packable: true }));
  const next = stack.use(nextVersion(old));
  const [oldTar, nextTar] = [join(scratch.path, 'old.tar'), join(scratch.path, 'next.tar')];
  await pack(old.root, oldTar);
  await pack(next.root, nextTar);
  const store = join(parent ?? scratch.path, 'store');
  await cellarOk(['import', oldTar, 'old'], { store });
  await cellarOk(['tag', 'old', 'other'], { store });
  const exported = await exportDigest('old', store);
  const owned = stack.move();
  return {
    path: scratch.path,
    store,
    old,
    next,
    oldTar,
    nextTar,
    exported,
    [Symbol.dispose]: () => owned.dispose(),
  };
}

async function pack(root: string, archive: string): Promise<void> {
  const keep = `--numeric-owner --xattrs --xattrs-include='*' --acls`;
  await sh(`tar -C ${quote(root)} ${keep} --sort=name -cf ${quote(archive)} .`);
}

export async function exportDigest(reference: string, store: string): Promise<string> {
  const done = await cellar(['export', '--format', 'tar', reference, '-'], { store });
  if (done.code !== 0) throw new Error(`export ${reference}: exit ${done.code}\n${done.stderr}`);
  return createHash('sha256').update(done.bytes).digest('hex');
}

/** fsck finds nothing, and after it (a command like any other) nothing lingers in tmp/. */
export async function assertClean(store: string, context: string): Promise<void> {
  const checked = await cellar(['--json', 'fsck'], { store });
  assert.equal(checked.code, 0, `${context}: fsck: ${checked.stdout}${checked.stderr}`);
  assert.deepEqual(readdirSync(join(store, 'tmp')), [], `${context}: tmp/ is not empty`);
}

/** What `ls` shows, as one comparable text. */
export async function references(store: string): Promise<string> {
  const { reference: _reference, elapsedMs: _elapsed, ...rest } = await cellarOk(['ls'], { store });
  return JSON.stringify(rest);
}

/** Loop devices whose backing file lies below a directory. */
export function loopsBelow(path: string): string[] {
  const listed = spawnSync('losetup', ['-nO', 'NAME,BACK-FILE', '-a']).stdout?.toString() ?? '';
  return listed.split('\n').filter((line) => line.trim().split(/\s+/)[1]?.startsWith(`${path}/`) === true);
}

/** Starts `cellar` in a process group of its own, so that it can be killed with all its helpers. */
export function startCellar(
  args: readonly string[],
  store: string,
  input: 'ignore' | 'pipe' = 'ignore',
): ChildProcess {
  return spawn(cellarProgram, args, {
    detached: true,
    stdio: [input, 'ignore', 'pipe'],
    env: { ...process.env, CELLAR_STORE: store },
  });
}

export function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

export function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => child.once('exit', (code) => resolve(code)));
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
