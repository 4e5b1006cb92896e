/**
 * Ctrl-C and `kill` in the middle of what takes long: the command ends soon and by itself, says that it was cancelled, and
 * leaves nothing behind and nothing changed.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { cellarOk, cellarProgram } from '../support/cellar.ts';
import { sh, soak } from '../support/run.ts';
import { makeScratch } from '../support/scratch.ts';
import { assertClean, references } from './rig.ts';
import { generator, randomBytes } from '../support/random.ts';

const scratch = makeScratch('cancel');
after(() => scratch[Symbol.dispose]());
const store = join(scratch.path, 'store');
const at = (name: string): string => join(scratch.path, name);

before(async () => {
  const random = generator(3);
  for (const tree of ['known', 'fresh']) {
    for (let directory = 0; directory < 20; directory++) {
      mkdirSync(at(`${tree}/${directory}`), { recursive: true });
      for (let file = 0; file < 150; file++)
        writeFileSync(at(`${tree}/${directory}/${file}`), randomBytes(10_000, random));
    }
    writeFileSync(at(`${tree}/large`), randomBytes(120 << 20, random));
  }
  await sh('tar -cf fresh.tar -C fresh . && zstd -q -1 fresh.tar && gzip -1 -k fresh.tar', {
    cwd: scratch.path,
  });
  await cellarOk(['import', at('known'), 'known'], { store });
});

const commands: readonly (readonly string[])[] = [
  ...['fresh.tar', 'fresh.tar.zst', 'fresh.tar.gz', 'fresh'].map((source) => ['import', at(source), 'fresh']),
  ['pull', at('fresh.tar'), 'fresh', '--verify', 'no'],
  ['pull', at('fresh/large'), 'fresh', '--verify', 'no'],
  ['commit', at('fresh'), 'fresh'],
  ...['out.tar', 'out.tar.zst', 'out.tar.gz', 'out.oci.tar'].map((target) => ['export', 'known', at(target)]),
  ['export', 'known', at('out.oci'), '--format', 'oci'],
  ['checkout', 'known', at('out'), '--method', 'copy'],
  ...['tar:out.tar.gz', 'oci:out.oci'].map((target) => [
    'deploy',
    'known',
    target.replace(':', `:${scratch.path}/`),
  ]),
  ['fsck'],
];

/** One listener hears both, so the short form sends each command one of them. */
const signals = ['SIGINT', 'SIGTERM'] as const;

for (const [index, command] of commands.entries())
  for (const signal of signals.filter((_signal, which) => soak || which === index % 2)) {
    const name = command.map((word) => word.replace(`${scratch.path}/`, '')).join(' ');
    test(`${name}: ${signal}`, { timeout: 60_000 }, async () => {
      const named = await references(store);
      const beside = readdirSync(scratch.path);
      const child = spawn(cellarProgram, ['--store', store, '--progress', 'json', ...command], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      // As soon as it says that it has done something of its last step; a second signal would end it at once.
      const begun = command[0] === 'export' ? /"progress","step":"(export)"/ : /"progress","step":"(\w+)"/;
      let step: string | undefined;
      child.stderr.on('data', (lines: Buffer) => {
        if (step !== undefined) return;
        step = begun.exec(lines.toString())?.[1];
        if (step !== undefined) child.kill(signal);
      });
      const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
      assert.equal(code, 130, stderr.slice(-2000));
      assert.match(stderr, /E_CANCELLED/);
      assert.ok(
        !stderr.includes(`"step-end","step":"${step}"`),
        `it went on to the end of its step: ${stderr}`,
      );
      assert.deepEqual(readdirSync(join(store, 'tmp')), []);
      assert.deepEqual(readdirSync(scratch.path), beside);
      assert.equal(await references(store), named);
      await assertClean(store, name);
    });
  }

for (const command of [
  ['cat', 'known', '/large'],
  ['export', 'known', '-'],
])
  test(`${command[0]} into a pipe that nobody reads`, { timeout: 60_000 }, async () => {
    const child = spawn(cellarProgram, ['--store', store, '--progress', 'none', ...command], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    await once(child.stdout, 'readable');
    child.kill('SIGTERM');
    const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
    assert.equal(code, 130, stderr);
    assert.match(stderr, /E_CANCELLED/);
    child.stdout.destroy();
  });
