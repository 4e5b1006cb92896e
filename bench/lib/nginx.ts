/** An nginx that serves a directory on a free port of the loopback, or in a network namespace, until disposed. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Nginx extends AsyncDisposable {
  readonly url: string;
}

export async function startNginx(
  directory: string,
  options: { address?: string; port?: number; wrapper?: readonly string[] } = {},
): Promise<Nginx> {
  const { address = '127.0.0.1', wrapper = [] } = options;
  const port = options.port ?? (await freePort());
  const scratch = mkdtempSync(join(tmpdir(), 'cellar-nginx-'));
  writeFileSync(
    join(scratch, 'nginx.conf'),
    `daemon off; user root; worker_processes 1; pid ${scratch}/pid; error_log ${scratch}/error.log;
     events { worker_connections 512; }
     http { access_log off; sendfile on; tcp_nopush on; server { listen ${address}:${port}; root ${directory}; } }`,
  );
  const [program, ...before] = [...wrapper, 'nginx'];
  const child = spawn(program as string, [...before, '-p', scratch, '-c', join(scratch, 'nginx.conf')], {
    stdio: 'ignore',
  });
  await sleep(500);
  if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}`);
  return {
    url: `http://${address}:${port}`,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
