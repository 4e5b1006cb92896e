/** A root with a shell and a few programs of this machine: enough for a container that runs one program and no init. */
import { copyFileSync, existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { sh } from './run.ts';

/** `more` are names of programs beside the shell and what every test of containers needs. */
export async function smallRoot(path: string, more: readonly string[] = []): Promise<void> {
  for (const name of ['bin', 'dev', 'etc', 'proc', 'root', 'run', 'sys', 'tmp', 'usr', 'var', 'srv'])
    mkdirSync(join(path, name), { recursive: true });
  for (const program of ['sh', 'sleep', 'cat', 'touch', 'ls', ...more])
    copyWithLibraries(path, `/bin/${program}`, (await sh(`ldd $(which ${program})`)).match(/\/\S+/g) ?? []);
  writeFileSync(join(path, 'etc/os-release'), 'ID=small\nPRETTY_NAME="small"\n');
  writeFileSync(join(path, 'etc/hostname'), 'LXC_NAME\n');
}

function copyWithLibraries(path: string, program: string, libraries: readonly string[]): void {
  for (const file of [program, ...libraries]) {
    const to = join(path, file);
    if (existsSync(to)) continue;
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(realpathSync(file), to);
  }
}
