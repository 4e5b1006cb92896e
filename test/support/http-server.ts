/** HTTP servers for tests: on the loopback interface, on a free port, gone with the test. */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

export interface TestServer extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /** What was asked, in order. May be emptied. */
  readonly requests: Seen[];
}

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

export type Answer = (request: IncomingMessage, response: ServerResponse, count: number) => unknown;

/** `answer` gets the number of requests so far as well, beginning with 1. */
export async function serve(
  answer: Answer,
  options: {
    readonly tls?: ServerOptions;
    /** For servers that are a proxy. */
    readonly connect?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  } = {},
): Promise<TestServer> {
  const requests: Seen[] = [];
  let count = 0;
  const listener: RequestListener = (request, response) => {
    const { method = '', url = '', headers } = request;
    requests.push({ method, path: url, headers });
    response.on('error', () => undefined);
    void answer(request, response, ++count);
  };
  const server = options.tls === undefined ? createServer(listener) : createTlsServer(options.tls, listener);
  const { connect } = options;
  if (connect !== undefined)
    server.on('connect', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      requests.push({ method: 'CONNECT', path: request.url ?? '', headers: request.headers });
      connect(request, socket, head);
    });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
