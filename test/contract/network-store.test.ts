/** A store on a file system that other machines may write to is refused: neither made there nor opened for writing. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { isCellarError } from '../../src/core/errors.ts';
import { openStore } from '../../src/store/store.ts';
import { makeScratch } from '../support/scratch.ts';
import { needs } from '../support/run.ts';

const program = new URL('../support/fuse-directory.py', import.meta.url).pathname;
const skip =
  needs({ root: true, programs: ['python3'] }) || (existsSync('/dev/fuse') ? false : 'needs /dev/fuse');

for (const [what, name] of [
  ['a new store', 'none'],
  ['a store that was brought there', 'format'],
] as const)
  test(`${what} on sshfs`, { skip }, async () => {
    using scratch = makeScratch('network');
    const server = spawn('python3', [program, 'fuse.sshfs', scratch.path, name, 'rootcellar 1'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(server, 'exit');
    try {
      const [said] = await Promise.race([once(server.stdout, 'data'), ended]);
      assert.ok(Buffer.isBuffer(said), 'the file system could not be mounted');
      assert.throws(
        () => openStore(scratch.path, { create: true }),
        (error) => isCellarError(error, 'E_STORE_FILESYSTEM') && /fuse\.sshfs/.test(error.message),
      );
    } finally {
      spawnSync('umount', ['-l', scratch.path]);
      server.kill();
      await ended;
    }
  });
