/** A place for machines and containers, with a store that has a small root in two versions, and what runs there. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { cellar, cellarOk } from './cellar.ts';
import { run } from './run.ts';
import { makeScratch } from './scratch.ts';
import { smallRoot } from './small-root.ts';

export interface MachineSite extends AsyncDisposable {
  /** Directory of all that follows. */
  readonly path: string;
  /** Has `small:1` and `small:2`, whose etc/version says which. */
  readonly store: string;
  /** Directories of machines, of LXC's containers and of LXC's cache. */
  readonly env: Readonly<Record<'CELLAR_MACHINES' | 'CELLAR_LXC_PATH' | 'LXC_CACHE_PATH', string>>;
  ok(...args: string[]): Promise<Record<string, unknown>>;
  /** @returns what it said */
  fails(code: string, ...args: string[]): Promise<string>;
  /** Runs until it is killed, at the latest with the site. */
  begin(command: readonly string[]): ChildProcess;
  /** As `begin`, and waits until it says that it is up. */
  start(command: readonly string[]): Promise<ChildProcess>;
}

export async function machineSite(): Promise<MachineSite> {
  const scratch = makeScratch('machines');
  const { path } = scratch;
  const store = join(path, 'store');
  const env = {
    CELLAR_MACHINES: join(path, 'machines'),
    CELLAR_LXC_PATH: join(path, 'lxc'),
    LXC_CACHE_PATH: join(path, 'lxc-cache'),
  };
  for (const directory of [env.CELLAR_MACHINES, env.CELLAR_LXC_PATH]) mkdirSync(directory);
  await importVersions(join(path, 'root'), store);
  const begun: ChildProcess[] = [];
  const begin = ([program = '', ...args]: readonly string[]): ChildProcess => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    begun.push(child);
    return child;
  };
  return {
    ...{ path, store, env, begin },
    ok: async (...args) => await cellarOk(args, { store, env }),
    async fails(code, ...args) {
      const done = await cellar(args, { store, env });
      assert.match(done.stderr, new RegExp(code));
      assert.notEqual(done.code, 0);
      return done.stderr;
    },
    async start(command) {
      const child = begin(command);
      await untilUp(child, command);
      return child;
    },
    async [Symbol.asyncDispose]() {
      for (const name of ['web1', 'live'])
        await run(['lxc-stop', '-k', '-P', env.CELLAR_LXC_PATH, '-n', name]).catch(() => undefined);
      for (const child of begun) {
        child.kill('SIGTERM');
        // What is left of a container would keep this process waiting for its words.
        for (const stream of [child.stdout, child.stderr]) stream?.destroy();
      }
      scratch[Symbol.dispose]();
    },
  };
}

async function importVersions(root: string, store: string): Promise<void> {
  await smallRoot(root);
  for (const version of ['1', '2']) {
    writeFileSync(join(root, 'etc/version'), `${version}\n`);
    await cellarOk(['import', root, `small:${version}`], { store });
  }
}

async function untilUp(child: ChildProcess, command: readonly string[]): Promise<void> {
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (data: Buffer) => (said += data.toString()));
  for (let attempt = 0; !said.includes('is up'); attempt++) {
    if (child.exitCode !== null || attempt > 300) throw new Error(`${command.join(' ')}: ${said}`);
    await setTimeout(50);
  }
}
