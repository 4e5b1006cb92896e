/** nginx on a free port of the loopback, serving a directory; its log tells what clients asked for. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './registry.ts';

export interface NginxPeer extends AsyncDisposable {
  readonly url: string;
  /** Method, path, status and bytes of the body of every request until now. */
  requests(): { method: string; path: string; status: number; bytes: number }[];
}

/** `scratch` is for its own files; `rate` in bytes a second for each connection. */
export async function startNginx(
  directory: string,
  scratch: string,
  options: { rate?: number } = {},
): Promise<NginxPeer> {
  mkdirSync(scratch, { recursive: true });
  const port = await freePort();
  const log = join(scratch, 'access.log');
  const rate = options.rate === undefined ? '' : `limit_rate ${options.rate};`;
  const user = process.geteuid?.() === 0 ? 'user root;' : '';
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${scratch}/${name};`)
    .join(' ');
  writeFileSync(
    join(scratch, 'nginx.conf'),
    `daemon off; ${user} worker_processes 1; pid ${scratch}/pid; error_log ${scratch}/error.log;
     events { worker_connections 512; }
     http { ${temporary} log_format plain '$request_method $uri $status $body_bytes_sent'; access_log ${log} plain;
       sendfile on; server { listen 127.0.0.1:${port} backlog=512; root ${directory}; ${rate} } }`,
  );
  const child = spawn('nginx', ['-p', scratch, '-c', join(scratch, 'nginx.conf')], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; ; tries++) {
    if (await answers(url)) break;
    if (tries === 100 || child.exitCode !== null) throw new Error(`nginx does not answer at ${url}`);
    await sleep(50);
  }
  return {
    url,
    requests: () =>
      readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => line !== '' && !line.includes(' / '))
        .map((line) => {
          const [method = '', path = '', status, bytes] = line.split(' ');
          return { method, path, status: Number(status), bytes: Number(bytes) };
        }),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    await fetch(url);
    return true;
  } catch {
    return false;
  }
}
