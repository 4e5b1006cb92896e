/**
 * An HTTP client that registries let in. It asks without being let in first, answers the challenge, and remembers
 * the token until it expires. What it shows is shown to that repository alone: other URLs (a foreign layer, the
 * server a redirect leads to) see none of it.
 */
import { CellarError, isCellarError } from '../../core/errors.ts';
import type { HttpClient, HttpRequest, HttpResponse } from '../../net/port.ts';
import type { RegistryCredentials } from './credential-helper.ts';
import { askSmall } from './read-small.ts';
import { repositoryUrl, type Repository } from './repository.ts';
import { answerChallenge, type Authorization } from './token.ts';

export interface Admission {
  readonly repository: Repository;
  /** Asked once a registry wants to see some. */
  readonly credentials: (signal: AbortSignal) => Promise<RegistryCredentials | undefined>;
}

const defaultSmall = 1 << 20;

/**
 * Over `client`, which stays its owner's. The first repository is the client's own source and gets its client
 * certificate and headers; mirrors do not.
 */
export function createAuthorisedClient(client: HttpClient, admissions: readonly Admission[]): HttpClient {
  const doors = admissions.map((admission) => makeDoor(client, admission));
  const own = admissions[0]?.repository.origin;

  const open = async (url: string, request: HttpRequest): Promise<HttpResponse> => {
    const door = doors.find(({ prefix }) => url.startsWith(prefix));
    if (door === undefined) return await client.open(url, { ...request, foreign: true });
    const foreign = new URL(url).origin !== own;
    let shown = door.authorization();
    for (let attempt = 1; ; attempt++) {
      const response = await client.open(url, {
        ...request,
        foreign,
        headers: { ...request.headers, ...(shown === undefined ? {} : { authorization: shown.header }) },
        accept: [...(request.accept ?? []), 401],
      });
      if (response.status !== 401) return response;
      await response.discard();
      if (attempt > 1) throw new CellarError('E_AUTHENTICATION', { details: { url, status: 401 } });
      shown = await door.renew({
        url,
        shown,
        header: response.headers['www-authenticate'],
        signal: request.signal,
      });
    }
  };

  return {
    retries: client.retries,
    concurrency: client.concurrency,
    open,
    async small(url, { limit = defaultSmall, ...request }) {
      const { response, bytes } = await askSmall(() => open(url, { ...request, accept: [404, 410] }), limit);
      if (response.status === 404 || response.status === 410) return undefined;
      return { bytes, url: response.url, headers: response.headers };
    },
    async [Symbol.asyncDispose]() {},
  };
}

interface Door {
  readonly prefix: string;
  authorization(): Authorization | undefined;
  /** Many requests may be refused at once; one of them gets the token for all. */
  renew(refusal: Refusal): Promise<Authorization>;
}

interface Refusal {
  readonly url: string;
  /** What did not do. */
  readonly shown: Authorization | undefined;
  readonly header: string | undefined;
  readonly signal: AbortSignal;
}

function makeDoor(client: HttpClient, { repository, credentials }: Admission): Door {
  let current: Authorization | undefined;
  let renewing: Promise<Authorization> | undefined;
  const fetchNew = async ({ url, header, signal }: Refusal): Promise<Authorization> =>
    await answerChallenge({
      client,
      repository,
      url,
      header,
      credentials: await credentials(signal),
      signal,
    });
  return {
    prefix: repositoryUrl(repository),
    authorization() {
      if (current !== undefined && current.expires <= performance.now()) current = undefined;
      return current;
    },
    async renew(refusal) {
      for (;;) {
        if (current !== undefined && current !== refusal.shown) return current;
        renewing ??= fetchNew(refusal).finally(() => (renewing = undefined));
        try {
          return (current = await renewing);
        } catch (error) {
          // Whoever asked for all may have been cancelled alone.
          if (!isCellarError(error, 'E_CANCELLED') || refusal.signal.aborted) throw error;
        }
      }
    },
  };
}
