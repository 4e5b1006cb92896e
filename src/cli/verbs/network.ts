/** How a verb reaches upstream: options that `pull` has, and `cellar.yaml` has for each source. */
import { readFileSync } from 'node:fs';
import type { HttpOptions } from '../../net/port.ts';
import { text } from '../spec.ts';
import { usage } from '../usage.ts';
import { bytes, duration, number, positive } from '../values.ts';

export const networkOptions = {
  retries: number('N', 'Try this often again (default 4)'),
  timeout: duration('Give up an attempt after this long without a byte (default 30s; 0 is never)'),
  connections: positive('N', 'Use this many connections (default 4)'),
  rateLimit: bytes('Take no more than this a second (default, and 0: no limit)'),
  proxy: text('URL', 'Proxy (default: from the environment)'),
  ca: text('FILE', 'Trust these certificate authorities, too', 'file'),
  clientCert: text('FILE', 'Certificate to show, PEM', 'file'),
  clientKey: text('FILE', 'Its key, PEM', 'file'),
  user: text('NAME', 'User name for the source'),
  passwordFile: text('FILE', 'File with the password', 'file'),
} as const;

type Network = {
  readonly [K in keyof typeof networkOptions]: ReturnType<(typeof networkOptions)[K]['parse']>;
};

/** @throws E_USAGE for half of what belongs together, which would go unheeded */
export function httpOptions(options: Network): HttpOptions {
  const { retries, timeout, connections, rateLimit, proxy, ca, clientCert, clientKey, user, passwordFile } =
    options;
  if ((user === undefined) !== (passwordFile === undefined))
    throw usage('--user and --password-file go together');
  if (clientKey !== undefined && clientCert === undefined)
    throw usage('--client-key needs the certificate that it belongs to, --client-cert');
  return {
    ...{ retries, timeout, concurrency: connections, rateLimit, proxy, ca },
    certificate: clientCert === undefined ? undefined : { cert: clientCert, key: clientKey ?? clientCert },
    credentials:
      user === undefined || passwordFile === undefined
        ? undefined
        : { username: user, password: readFileSync(passwordFile, 'utf8').replace(/\r?\n$/, '') },
  };
}
