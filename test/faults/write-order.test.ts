/**
 * The order of a write, as the kernel sees it: nothing gets its name in the store before what was staged is on the medium,
 * and no row is written before the names are. Copies of a disk taken at a power cut show it by example; this is the rule.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cellarProgram } from '../support/cellar.ts';
import { needs, run } from '../support/run.ts';
import { makeScratch, memory } from '../support/scratch.ts';

const skip = needs({ programs: ['strace'] });

for (const [what, args] of [
  ['a tree', ['import', 'tree', 'app']],
  ['a file', ['pull', 'file+file:tree/file', 'app']],
] as const)
  test(`${what}: staged, synced, named, synced, and then on record`, { skip }, async () => {
    using scratch = makeScratch('order', memory);
    const at = (name: string): string => join(scratch.path, name);
    mkdirSync(at('tree'));
    writeFileSync(at('tree/file'), 'content');
    const trace = ['-f', '-y', '-o', at('log'), '-e', 'trace=syncfs,fdatasync,rename,openat'];
    const command = ['strace', ...trace, cellarProgram, '--store', at('store'), ...args];
    const { code, stderr } = await run(command, { cwd: scratch.path });
    assert.equal(code, 0, stderr);
    assert.match(
      stepsOf(readFileSync(at('log'), 'utf8'), at('store')),
      /^(?:synced )*(?:listed )?(?:synced )+(?:named )+(?:synced )+noted/,
    );
  });

/** What is synced counts when the call returns, all else when it begins. */
function stepsOf(log: string, store: string): string {
  const steps = log.split('\n').flatMap((line) => {
    if (/syncfs(?:\(.*| resumed.*)= 0$/.test(line)) return ['synced'];
    if (
      line.includes('rename(') &&
      (line.includes(`, "${store}/objects/`) || line.includes(`, "${store}/trees/`))
    )
      return ['named'];
    // The last that is staged of a tree.
    if (line.includes('openat(') && /\/tmp\/.*\/objects\.list", .*O_CREAT/.test(line)) return ['listed'];
    return line.includes('fdatasync(') && line.includes(`${store}/journal`) ? ['noted'] : [];
  });
  return steps.join(' ');
}
