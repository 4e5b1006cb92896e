/**
 * The URLs of one download: which is asked now, how often it may still fail, and when the next gets its turn. Shared
 * by all connections of the download, so that they leave a bad server together.
 */
import { CellarError, isCellarError } from '../core/errors.ts';
import type { EventSink } from '../core/events.ts';
import { attemptsError, Failed, problemOf, tellAttempt } from './attempts.ts';
import { stripUser } from './userinfo.ts';
import { backoff } from './retry.ts';
import type { Timing } from './timing.ts';

export interface Mirror {
  readonly index: number;
  /** With its credentials, as it was given. */
  readonly url: string;
  /** Without them. */
  readonly name: string;
  /** Of another origin than the first: it gets none of the source's credentials. */
  readonly foreign: boolean;
}

/** One connection's patience. */
export interface Tries {
  made: number;
}

export interface Mirrors {
  current(): Mirror;
  /**
   * After a failure: waits, or goes on to the next URL. `opened`: the head of the answer had come, so nobody has
   * tried again yet. `progressed`: bytes that this try brought.
   * @throws when no URL is left: the only error, or E_HTTP_ATTEMPTS; what is no server's fault; E_CANCELLED
   */
  trouble(
    thrown: unknown,
    failed: { mirror: Mirror; opened: boolean; progressed: number; tries: Tries; signal: AbortSignal },
  ): Promise<void>;
}

/** A try that brought so much was no failure of the server as such: patience begins anew. */
const goodProgress = 1 << 20;

export function createMirrors(
  urls: readonly string[],
  options: { retries: number; timing: Timing; events: EventSink },
): Mirrors {
  const { retries, timing, events } = options;
  const all = urls.map((url, index) => describe(url, index, urls[0]!));
  if (all.length === 0) throw new Error('a download without a URL');
  const problems: string[] = [];
  let at = 0;

  const giveUp = (error: CellarError, again: boolean): CellarError => {
    if (problems.length < 2 || (all.length === 1 && !again)) return error;
    return attemptsError(all[0]!.name, problems, error);
  };
  const note = (error: CellarError, { name }: Mirror): void => {
    const prefix = all.length > 1 ? `${name} ` : '';
    const listed = error.details['attempts'];
    const found =
      error.code === 'E_HTTP_ATTEMPTS' && Array.isArray(listed) ? listed : [problemOf(error, name)];
    problems.push(...found.map((problem) => `${prefix}${problem}`));
  };

  return {
    current: () => all[at]!,
    async trouble(thrown, { mirror, opened, progressed, tries, signal }) {
      if (signal.aborted) throw new CellarError('E_CANCELLED', { cause: signal.reason });
      const error = thrown instanceof Failed ? thrown.error : thrown;
      if (!isCellarError(error) || !isServersFault(error)) throw error;
      note(error, mirror);
      const again = opened && !(thrown instanceof Failed && !thrown.again);
      if (again) {
        tries.made = progressed >= goodProgress ? 1 : tries.made + 1;
        const waitMs = tries.made > retries ? undefined : backoff(tries.made, timing.random);
        const { name: url } = mirror;
        const problem = problemOf(error, url);
        tellAttempt(events, { url, attempt: tries.made, of: retries + 1, problem, waitMs });
        if (waitMs !== undefined) return await timing.sleep(waitMs, signal);
      }
      tries.made = 0;
      if (at > mirror.index) return;
      if (at + 1 === all.length) throw giveUp(error, again || error.code === 'E_HTTP_ATTEMPTS');
      at++;
    },
  };
}

function describe(url: string, index: number, first: string): Mirror {
  if (!URL.canParse(url)) return { index, url, name: url, foreign: index > 0 };
  const parsed = new URL(url);
  stripUser(parsed);
  parsed.hash = '';
  const foreign = !URL.canParse(first) || new URL(first).origin !== parsed.origin;
  return { index, url, name: parsed.href, foreign };
}

function isServersFault({ code }: CellarError): boolean {
  return code.startsWith('E_HTTP_') || code === 'E_AUTHENTICATION';
}
