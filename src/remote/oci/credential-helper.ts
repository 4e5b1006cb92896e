/**
 * Programs that keep credentials for Docker and its kin: `docker-credential-X get` with the server on its standard
 * input answers with JSON. What it prints is never repeated, because it may hold the secret.
 */
import { spawn } from 'node:child_process';
import type { Environment } from '../../core/environment.ts';
import { CellarError } from '../../core/errors.ts';
import { isObject, parseQuietly } from './json.ts';

export type RegistryCredentials =
  | { readonly username: string; readonly password: string }
  /** Exchanged for tokens at the registry's token server. */
  | { readonly identityToken: string }
  /** Shown to the registry as it is. */
  | { readonly bearer: string };

export interface HelperQuestion {
  /** What follows `docker-credential-`. */
  readonly helper: string;
  readonly server: string;
  readonly environment: Environment;
  readonly signal: AbortSignal;
}

const patience = 60_000;
const mostOutput = 1 << 20;

/** `undefined` when the helper knows nothing of that server. @throws E_CREDENTIALS, E_CANCELLED */
export async function askHelper(question: HelperQuestion): Promise<RegistryCredentials | undefined> {
  const { helper, server, signal } = question;
  const program = `docker-credential-${helper}`;
  const broken = (problem: string): CellarError =>
    new CellarError('E_CREDENTIALS', { details: { place: program, server, problem } });
  if (!/^[\w.-]+$/.test(helper)) throw broken('that is no name of a program');
  const { code, output } = await runHelper(program, question).catch((error: unknown) => {
    if (signal.aborted) throw new CellarError('E_CANCELLED');
    const { name, code: errno } = error as NodeJS.ErrnoException;
    if (errno === 'ENOENT') throw broken('it is not on the PATH');
    throw broken(name === 'AbortError' ? 'it did not answer within a minute' : `it cannot be run (${errno})`);
  });
  if (code !== 0) {
    if (/credentials not found|no credentials/i.test(output)) return undefined;
    throw broken(`it ended with exit code ${code}`);
  }
  const answer = parseQuietly(output);
  const { Username: username, Secret: secret } = isObject(answer) ? answer : {};
  if (typeof username !== 'string' || typeof secret !== 'string')
    throw broken('its answer is not understood');
  if (secret === '') return undefined;
  return username === '<token>' ? { identityToken: secret } : { username, password: secret };
}

async function runHelper(
  program: string,
  { server, environment, signal }: HelperQuestion,
): Promise<{ code: number | null; output: string }> {
  const child = spawn(program, ['get'], {
    env: environment,
    signal: AbortSignal.any([signal, AbortSignal.timeout(patience)]),
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const chunks: Buffer[] = [];
  let length = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length <= mostOutput) chunks.push(chunk);
  });
  // A helper may end without reading.
  child.stdin.on('error', () => undefined);
  child.stdin.end(`${server}\n`);
  return await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output: Buffer.concat(chunks).toString() }));
  });
}
