/** Connections: one pool for each way out (proxy or none, TLS or not, known or foreign origin), made on first use. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import type { Dispatcher } from 'undici';
import { CellarError } from '../core/errors.ts';
import { toCellarError } from '../sys/errno.ts';
import type { HttpOptions } from './port.ts';
import { proxyFor, type Environment } from './proxy.ts';

export interface Dispatchers {
  /** `trusted`: the origin the client certificate is meant for. @throws E_USAGE, E_IO */
  to(url: URL, trusted: boolean): Promise<Dispatcher>;
  /** Breaks all connections. */
  destroy(): Promise<void>;
}

export function makeDispatchers(
  options: HttpOptions,
  { environment, connections, timeout }: { environment: Environment; connections: number; timeout: number },
): Dispatchers {
  const made = new Map<string, Dispatcher>();
  const contexts = new Map<boolean, SecureContext>();
  const context = (shown: boolean): SecureContext => {
    const known = contexts.get(shown) ?? secureContext(options, shown);
    contexts.set(shown, known);
    return known;
  };
  const make = async (url: URL, trusted: boolean): Promise<Dispatcher> => {
    const { Agent, ProxyAgent } = await import('undici');
    const proxy = proxyFor(url, options.proxy, environment);
    // HTTP/2 would carry all requests over one connection, where several are wanted. Our own timer is the earlier one.
    const shared = { connections, allowH2: false, connectTimeout: timeout + 1000 };
    const tls = url.protocol === 'https:' ? { secureContext: context(trusted), allowH2: false } : {};
    if (proxy === undefined) return new Agent({ ...shared, connect: { ...tls, timeout: timeout + 1000 } });
    const { uri, token } = proxy;
    const proxyTls = uri.startsWith('https:') ? { secureContext: context(false), allowH2: false } : {};
    return new ProxyAgent({
      ...shared,
      uri,
      ...(token === undefined ? {} : { token }),
      requestTls: tls,
      proxyTls,
    });
  };
  return {
    async to(url, trusted) {
      const shown = trusted && options.certificate !== undefined;
      const proxy = proxyFor(url, options.proxy, environment)?.uri ?? '';
      const key = `${url.protocol} ${shown} ${proxy}`;
      const known = made.get(key);
      if (known !== undefined) return known;
      const fresh = await make(url, shown);
      // Another request may have made one meanwhile.
      const first = made.get(key) ?? fresh;
      if (first !== fresh) await fresh.destroy();
      made.set(key, first);
      return first;
    },
    async destroy() {
      const all = [...made.values()];
      made.clear();
      await Promise.all(all.map((dispatcher) => dispatcher.destroy()));
    },
  };
}

/** Whom to trust: the system's authorities (Node's own list where the system has none) and the source's. */
function secureContext({ ca, certificate }: HttpOptions, shown: boolean): SecureContext {
  const system = getCACertificates('system');
  const trusted = new Set([
    ...(system.length > 0 ? system : getCACertificates('bundled')),
    ...getCACertificates('extra'),
  ]);
  const added = ca === undefined ? [] : certificatesIn(readPem(ca));
  const own =
    shown && certificate !== undefined
      ? { cert: readPem(certificate.cert), key: readPem(certificate.key) }
      : {};
  try {
    // OpenSSL passes over what it cannot read; whoever names a file means it.
    for (const certificate of added) void new X509Certificate(certificate);
    return createSecureContext({ ca: [...trusted, ...added], ...own });
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    const files = [ca, ...(own.cert === undefined ? [] : [certificate?.cert, certificate?.key])];
    const named = files.filter((file) => file !== undefined).join(', ');
    throw new CellarError('E_USAGE', {
      details: { problem: `the certificates in ${named} cannot be used: ${problem}` },
      cause: error,
    });
  }
}

/** Or the text as it is, to be complained about. */
function certificatesIn(pem: string): string[] {
  return (
    pem.match(/-----BEGIN (?:TRUSTED )?CERTIFICATE-----[^-]+-----END (?:TRUSTED )?CERTIFICATE-----/g) ?? [pem]
  );
}

function readPem(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw toCellarError(error, { doing: 'reading a certificate', path });
  }
  if (text.includes('-----BEGIN ')) return text;
  throw new CellarError('E_USAGE', { details: { problem: `${path} holds no PEM certificate or key` } });
}
