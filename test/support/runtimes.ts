/** Container runtimes as Debian packages them, started by hand with all their state in a directory, and stopped again. */
import { spawn } from 'node:child_process';
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, sh } from './run.ts';

export interface RuntimePeer extends AsyncDisposable {
  /** What its client and we need to find it. */
  readonly env: Readonly<Record<string, string>>;
}

export async function startDocker(directory: string): Promise<RuntimePeer> {
  const socket = join(directory, 'docker.sock');
  const args = [
    ...['--iptables=false', '--bridge=none', '--data-root', join(directory, 'data')],
    ...['--exec-root', join(directory, 'exec'), '--pidfile', join(directory, 'docker.pid')],
    ...['--config-file', join(directory, 'daemon.json'), '-H', `unix://${socket}`],
  ];
  mkdirSync(directory);
  writeFileSync(join(directory, 'daemon.json'), '{}');
  const env = { DOCKER_HOST: `unix://${socket}`, DOCKER_CONFIG: directory };
  return await startDaemon(['dockerd', ...args], { directory, env, probe: ['docker', 'version'] });
}

export async function startContainerd(directory: string): Promise<RuntimePeer> {
  const socket = join(directory, 'containerd.sock');
  mkdirSync(directory);
  writeFileSync(
    join(directory, 'config.toml'),
    `version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "${socket}"\n`,
  );
  const args = [
    ...['--config', join(directory, 'config.toml'), '--root', join(directory, 'root')],
    ...['--state', join(directory, 'state'), '--address', socket],
  ];
  const env = { CONTAINERD_ADDRESS: socket };
  return await startDaemon(['containerd', ...args], { directory, env, probe: ['ctr', 'version'] });
}

/** It has no daemon, only storage. */
export async function preparePodman(directory: string): Promise<RuntimePeer> {
  mkdirSync(directory);
  const conf = join(directory, 'storage.conf');
  const [graph, running] = [join(directory, 'graph'), join(directory, 'run')];
  writeFileSync(conf, `[storage]\ndriver = "overlay"\ngraphroot = "${graph}"\nrunroot = "${running}"\n`);
  const env = { CONTAINERS_STORAGE_CONF: conf, TMPDIR: directory };
  return {
    env,
    async [Symbol.asyncDispose]() {
      await run(['sh', '-c', `umount ${graph}/overlay 2>/dev/null`]);
    },
  };
}

interface Daemon {
  readonly directory: string;
  readonly env: Readonly<Record<string, string>>;
  /** Succeeds once it answers. */
  readonly probe: readonly string[];
}

async function startDaemon(command: readonly string[], daemon: Daemon): Promise<RuntimePeer> {
  const { directory, env, probe } = daemon;
  const log = join(directory, 'log');
  const output = openSync(log, 'w');
  const [program, ...args] = command;
  const child = spawn(program!, args, { stdio: ['ignore', output, output] });
  let ended = false;
  const end = new Promise<void>((resolve) =>
    child.on('exit', () => {
      ended = true;
      resolve();
    }),
  );
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await end;
    // What it mounted below its directory goes with it.
    await sh(
      `awk -v d="$0" 'index($2, d "/") == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount`.replace(
        '$0',
        directory,
      ),
    );
  };
  for (let attempt = 1; (await run(probe, { env })).code !== 0; attempt++) {
    if (ended || attempt === 150) {
      await stop();
      throw new Error(`${program} does not answer:\n${readFileSync(log, 'utf8').slice(-3000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { env, [Symbol.asyncDispose]: stop };
}
