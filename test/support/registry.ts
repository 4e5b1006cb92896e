/** Debian's docker-registry on a free port, and images for it made by umoci and pushed by skopeo. */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { quote, sh } from './run.ts';

export interface RegistryPeer extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly host: string;
}

/** It keeps its data in `directory`. */
export async function startRegistry(
  directory: string,
  user?: { name: string; password: string },
): Promise<RegistryPeer> {
  const host = `127.0.0.1:${await freePort()}`;
  mkdirSync(directory, { recursive: true });
  const lines = [
    'version: 0.1',
    'log: { level: error }',
    `storage: { filesystem: { rootdirectory: ${JSON.stringify(join(directory, 'data'))} } }`,
    `http: { addr: '${host}' }`,
  ];
  if (user !== undefined) {
    const path = join(directory, 'htpasswd');
    writeFileSync(path, await sh(`htpasswd -nbBC 4 ${quote(user.name)} ${quote(user.password)}`));
    lines.push(`auth: { htpasswd: { realm: peer, path: ${JSON.stringify(path)} } }`);
  }
  const config = join(directory, 'config.yml');
  writeFileSync(config, `${lines.join('\n')}\n`);
  // Variables that begin so are its settings, REGISTRY_AUTH_FILE of other tools too.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('REGISTRY_')),
  );
  const child = spawn('docker-registry', ['serve', config], { env, stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()));
  await untilItAnswers(`http://${host}/v2/`);
  return {
    host,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/**
 * Pushes an image of one file to `host/name:tag`.
 * @param credentials `user:password`
 */
export async function pushImage(
  scratch: string,
  image: {
    readonly to: string;
    readonly architecture: string;
    readonly content: string;
    readonly format?: 'oci' | 'v2s2';
    readonly credentials?: string;
  },
): Promise<void> {
  const { to, architecture, content, format = 'oci', credentials } = image;
  const tree = join(scratch, `tree-${architecture}`);
  mkdirSync(tree, { recursive: true });
  writeFileSync(join(tree, 'content'), content);
  await sh(
    `rm -rf layout
     umoci init --layout layout
     umoci new --image layout:it
     umoci insert --rootless --image layout:it ${quote(tree)} /srv
     umoci config --image layout:it --architecture ${architecture} --config.label org.opencontainers.image.title=peer
     skopeo copy -q --insecure-policy --dest-tls-verify=false --format ${format} \
       ${credentials === undefined ? '' : `--dest-creds ${quote(credentials)}`} oci:layout:it docker://${to}`,
    { cwd: scratch },
  );
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function untilItAnswers(url: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await (await fetch(url)).arrayBuffer();
      return;
    } catch (error) {
      if (attempt === 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
