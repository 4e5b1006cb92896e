/**
 * What the floors above need of the network: one client for each source, with its own proxy, trust, credentials,
 * pace and patience. Everything that may fail and be tried again is tried again below this line.
 */
export interface HttpOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly credentials?: Credentials | undefined;
  /** URL of a proxy; else the environment decides (`http_proxy`, `https_proxy`, `no_proxy`). */
  readonly proxy?: string | undefined;
  /** Path of a PEM file with the certificate authorities to trust besides the system's. */
  readonly ca?: string | undefined;
  /** Paths of the client certificate and its key, PEM. */
  readonly certificate?: { readonly cert: string; readonly key: string } | undefined;
  /** Milliseconds without a byte until an attempt counts as failed; 0 is never. Default 30,000. */
  readonly timeout?: number | undefined;
  /** Attempts after the first. Default 4. */
  readonly retries?: number | undefined;
  /** Connections at a time. Default 4. */
  readonly concurrency?: number | undefined;
  /** Bytes per second over all connections; 0 is no limit. */
  readonly rateLimit?: number | undefined;
}

export type Credentials =
  { readonly username: string; readonly password: string } | { readonly bearer: string };

export interface HttpRequest {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Statuses besides 2xx that are an answer and no error. */
  readonly accept?: readonly number[];
  /**
   * Another party's URL (a mirror, a foreign layer): it gets none of the client's own credentials, headers and
   * client certificate.
   */
  readonly foreign?: boolean;
  readonly signal: AbortSignal;
}

export interface HttpResponse {
  readonly status: number;
  /** After redirects. */
  readonly url: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** A chunk is good until the next is asked for. */
  readonly body: AsyncIterable<Buffer>;
  /** Give the connection back without reading the body. */
  discard(): Promise<void>;
}

export interface SmallResponse {
  readonly bytes: Buffer;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface HttpClient extends AsyncDisposable {
  /** Attempts after the first. */
  readonly retries: number;
  /** Connections at a time. */
  readonly concurrency: number;
  /** @throws E_HTTP_STATUS, E_HTTP_UNREACHABLE, E_HTTP_TIMEOUT, E_HTTP_REDIRECT, E_AUTHENTICATION, E_CANCELLED */
  open(url: string, request: HttpRequest): Promise<HttpResponse>;
  /** A whole small body (`limit` bytes, default 1 MiB); `undefined` for 404 and 410. @throws what `open` does, E_HTTP_BODY */
  small(
    url: string,
    request: Pick<HttpRequest, 'headers' | 'signal'> & { readonly limit?: number },
  ): Promise<SmallResponse | undefined>;
}
