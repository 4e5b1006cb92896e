/** Ways out: connections for each of them (proxy or none, TLS or not, known or foreign origin), made on first use. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Agent as HttpAgent, ClientRequest, RequestOptions } from 'node:http';
import type * as Https from 'node:https';
import type { Socket, TcpNetConnectOpts } from 'node:net';
import type * as Tls from 'node:tls';
import type { SecureContext } from 'node:tls';
import { CellarError } from '../core/errors.ts';
import { toCellarError } from '../sys/errno.ts';
import type { HttpOptions } from './port.ts';
import { proxyFor } from './proxy.ts';
import type { Environment } from '../core/environment.ts';
import { connectReceiving } from './receiving.ts';

/** Not by `import`, which asks for all that it exports: for one of these a third of Node's library is loaded. */
const { Agent, request: plainRequest } = process.getBuiltinModule('node:http');

/** A request to one URL, not yet sent. */
export type Begin = (options: RequestOptions) => ClientRequest;

export interface Routes {
  /** `trusted`: the origin the client certificate is meant for. @throws E_USAGE, E_IO */
  to(url: URL, trusted: boolean): Begin;
  /** Breaks all connections. */
  destroy(): void;
}

type Proxy = NonNullable<ReturnType<typeof proxyFor>>;

/** TLS takes its time to load and is not always wanted. */
interface Secure {
  readonly https: typeof Https;
  readonly tls: typeof Tls;
}

export function createRoutes(
  options: HttpOptions,
  { environment, connections, timeout }: { environment: Environment; connections: number; timeout: number },
): Routes {
  const agents = new Map<string, HttpAgent>();
  const contexts = new Map<boolean, SecureContext>();
  const ended = new AbortController();
  // Said for every connection: else NODE_TLS_REJECT_UNAUTHORIZED=0, set for another program, would let anybody answer.
  const shared = {
    ...({ keepAlive: true, maxSockets: connections, scheduling: 'lifo' } as const),
    rejectUnauthorized: true,
  };

  const context = (secure: Secure, shown: boolean): SecureContext => {
    const known = contexts.get(shown) ?? secureContext(secure.tls, options, shown);
    contexts.set(shown, known);
    return known;
  };
  const agentFor = (key: string, make: () => HttpAgent): HttpAgent => {
    const known = agents.get(key) ?? make();
    agents.set(key, known);
    return known;
  };
  const plain = (): HttpAgent =>
    agentFor('plain', () => {
      const agent = new Agent(shared);
      agent.createConnection = (to) => connectReceiving(to as TcpNetConnectOpts);
      return agent;
    });
  const encrypted = (secure: Secure, shown: boolean): HttpAgent =>
    agentFor(
      `tls ${shown}`,
      () => new secure.https.Agent({ ...shared, secureContext: context(secure, shown) }),
    );
  const tunnelled = (secure: Secure, shown: boolean, proxy: Proxy): HttpAgent =>
    agentFor(`tunnel ${shown} ${proxy.uri}`, () => {
      const agent = new secure.https.Agent({ ...shared, secureContext: context(secure, shown) });
      agent.createConnection = (to, connected) => {
        const { host = '', port, servername } = to as Tls.ConnectionOptions;
        const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(timeout)]);
        openTunnel(secure, {
          proxy,
          target: `${bracketed(host)}:${port}`,
          context: () => context(secure, false),
          signal,
        }).then(
          (socket) =>
            connected?.(null, secure.tls.connect({ ...(to as Tls.ConnectionOptions), socket, servername })),
          (error: Error) => connected?.(error, undefined as never),
        );
        return undefined;
      };
      return agent;
    });

  return {
    to(url, trusted) {
      const shown = trusted && options.certificate !== undefined;
      const proxy = proxyFor(url, options.proxy, environment);
      const isSecure = url.protocol === 'https:' || proxy?.uri.startsWith('https:') === true;
      const secure = isSecure ? loadSecure() : undefined;
      if (url.protocol === 'https:' && secure !== undefined) {
        const agent = proxy === undefined ? encrypted(secure, shown) : tunnelled(secure, shown, proxy);
        return (given) => secure.https.request(url, { ...given, agent });
      }
      if (proxy === undefined) return (given) => plainRequest(url, { ...given, agent: plain() });
      const { uri, token } = proxy;
      const agent = secure === undefined ? plain() : encrypted(secure, false);
      const ask = secure === undefined ? plainRequest : secure.https.request;
      return (given) =>
        ask(uri, {
          ...given,
          agent,
          path: url.href,
          headers: { ...(given.headers as Record<string, string>), host: url.host, ...authorisation(token) },
        });
    },
    destroy() {
      ended.abort();
      for (const agent of agents.values()) agent.destroy();
      agents.clear();
    },
  };
}

function loadSecure(): Secure {
  return { https: process.getBuiltinModule('node:https'), tls: process.getBuiltinModule('node:tls') };
}

/** RFC 9110, 9.3.6. @throws what connecting does, and when the proxy refuses */
async function openTunnel(
  secure: Secure,
  {
    proxy,
    target,
    context,
    signal,
  }: { proxy: Proxy; target: string; context: () => SecureContext; signal: AbortSignal },
): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const { uri, token } = proxy;
  const asked = {
    method: 'CONNECT',
    path: target,
    headers: { host: target, ...authorisation(token) },
    agent: false,
    rejectUnauthorized: true,
    signal,
  } as const;
  const request = uri.startsWith('https:')
    ? secure.https.request(uri, { ...asked, secureContext: context() } as Https.RequestOptions)
    : plainRequest(uri, asked);
  request.once('connect', ({ statusCode = 0 }, socket: Socket) => {
    if (statusCode >= 200 && statusCode < 300) return void resolve(socket);
    socket.destroy();
    reject(new Error(`the proxy answered ${statusCode}`));
  });
  request.once('error', reject);
  request.end();
  return await promise;
}

function authorisation(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { 'proxy-authorization': token };
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** Whom to trust: the system's authorities (Node's own list where the system has none) and the source's. */
function secureContext(
  { createSecureContext, getCACertificates }: typeof Tls,
  { ca, certificate }: HttpOptions,
  shown: boolean,
): SecureContext {
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
