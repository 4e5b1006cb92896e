import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { makeLoopFilesystem, mountCopy } from './loopfs.ts';
import { needs, sh } from './run.ts';
import { makeScratch } from './scratch.ts';

const skip = needs({ root: true, programs: ['mkfs.ext4', 'losetup'] });

test('a copy of the backing file holds what was synced', { skip }, async () => {
  await using loop = await makeLoopFilesystem({ type: 'ext4', size: 32 << 20 });
  using scratch = makeScratch('copy');
  writeFileSync(`${loop.mount}/kept`, 'bytes');
  await sh(`sync -f ${loop.mount}; cp --sparse=always ${loop.image} ${scratch.path}/image`);
  await using copy = await mountCopy(`${scratch.path}/image`);
  assert.equal(await sh(`cat ${copy.mount}/kept`), 'bytes');
});

test('what a killed process left is swept', { skip }, async () => {
  const script = `import { makeLoopFilesystem } from ${JSON.stringify(new URL('./loopfs.ts', import.meta.url).href)};
    const loop = await makeLoopFilesystem({ type: 'ext4', size: 16 << 20 });
    console.log(loop.mount); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const mount = await new Promise<string>((resolve) =>
    child.stdout.once('data', (text: Buffer) => resolve(text.toString().trim())),
  );
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
  assert.ok(existsSync(mount));
  const sweeper = script.replace('setInterval', 'process.exit(); setInterval');
  await sh(`${process.execPath} --input-type=module -e '${sweeper.replaceAll("'", `'\\''`)}'`);
  assert.ok(!existsSync(mount));
});
