/**
 * Runs the text scripts of this directory: commands as a user types them, each followed by what must come of it.
 *
 *   needs root | needs nobody | needs PROGRAM   else the script is skipped; nobody: sources that any user may read
 *   cellar ARGS…                  must succeed      ! cellar ARGS…   must fail
 *   sh COMMANDS                   must succeed      ! sh COMMANDS    must fail
 *   exit N                        of the command before
 *   stdout REGEX                  of the command before, lines anchored by ^ and $; also stderr, and ! before either
 *   exists PATH                   also ! before it
 *
 * The words go through sh, in a fresh directory $WORK with a store of its own and `cellar` on the PATH.
 */
import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { cellarProgram } from '../support/cellar.ts';
import { scratchDirectory } from '../support/filesystem.ts';
import { needs, run, type RunResult } from '../support/run.ts';

const directory = import.meta.dirname;

for (const name of readdirSync(directory).filter((file) => file.endsWith('.txt'))) {
  const lines = parse(readFileSync(join(directory, name), 'utf8'));
  await test(name.slice(0, -'.txt'.length), { skip: obstacle(lines) }, async () => {
    await play(name, lines);
  });
}

interface Line {
  readonly number: number;
  readonly negated: boolean;
  readonly verb: string;
  readonly rest: string;
}

function parse(text: string): Line[] {
  return text.split('\n').flatMap((line, index) => {
    const match = /^(! )?(\w+)\s*(.*)$/.exec(line.trim());
    if (match === null || line.startsWith('#')) return [];
    return [{ number: index + 1, negated: match[1] !== undefined, verb: match[2]!, rest: match[3]! }];
  });
}

function obstacle(lines: readonly Line[]): string | false {
  const wanted = lines.filter(({ verb }) => verb === 'needs').map(({ rest }) => rest);
  return needs({
    root: wanted.includes('root'),
    nobody: wanted.includes('nobody'),
    programs: wanted.filter((name) => name !== 'root' && name !== 'nobody'),
  });
}

async function play(script: string, lines: readonly Line[]): Promise<void> {
  using scratch = scratchDirectory();
  const work = join(scratch.path, 'work');
  const bin = join(scratch.path, 'bin');
  mkdirSync(work);
  mkdirSync(bin);
  symlinkSync(cellarProgram, join(bin, 'cellar'));
  const env = {
    WORK: work,
    CELLAR: cellarProgram,
    CELLAR_STORE: join(scratch.path, 'store'),
    PATH: `${bin}:${process.env['PATH']}`,
    LC_ALL: 'C.UTF-8',
  };
  let last: RunResult | undefined;
  for (const line of lines) {
    const where = `${script}:${line.number}`;
    if (line.verb === 'cellar' || line.verb === 'sh') {
      const command = line.verb === 'sh' ? line.rest : `cellar ${line.rest}`;
      last = await run(['sh', '-ec', command], { cwd: work, env });
      const said = `${where}: ${command}\nexit ${last.code}\n${last.stderr}${last.stdout.toString()}`;
      assert.equal(last.code !== 0, line.negated, said);
    } else expectation(line, { last, work, where });
  }
}

interface Situation {
  readonly last: RunResult | undefined;
  readonly work: string;
  readonly where: string;
}

function expectation({ verb, rest, negated }: Line, { last, work, where }: Situation): void {
  switch (verb) {
    case 'needs':
      return;
    case 'exit':
      return assert.equal(last?.code, Number(rest), `${where}: exit code\n${last?.stderr}`);
    case 'stdout':
    case 'stderr': {
      const text = verb === 'stdout' ? (last?.stdout.toString() ?? '') : (last?.stderr ?? '');
      return assert.equal(new RegExp(rest, 'm').test(text), !negated, `${where}: ${verb} ${rest}\n${text}`);
    }
    case 'exists': {
      const found = lstatSync(resolve(work, rest), { throwIfNoEntry: false }) !== undefined;
      return assert.equal(found, !negated, `${where}: exists ${rest}`);
    }
    default:
      assert.fail(`${where}: unknown command '${verb}'`);
  }
}
