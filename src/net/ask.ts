/**
 * Asking a server for the rest of a file, and judging whether what it answers continues what is already there. A 200
 * to a range request is the whole file, perhaps another version: it is compared with what was received.
 */
import { Failed } from './attempts.ts';
import type { HttpResponse } from './port.ts';
import { beginComparing, unfit, type Session, type Stream } from './session.ts';
import {
  contentRange,
  lengthOf,
  sameVersion,
  strongEtag,
  validatorOf,
  versionOf,
  type Version,
} from './version.ts';

/** The file from the first byte on that is missing, or from its beginning. @throws the client's, Failed */
export async function askForRest(session: Session): Promise<Stream> {
  const at = session.checked ?? session.arrivals.present.prefix();
  const found = at === 0 ? undefined : await askForRange(session, { at, signal: session.signal });
  if (found !== undefined && found.at === at) return found;
  return await askFromStart(session, found);
}

/**
 * The bytes from `at` to `end` (exclusive; default: the last). A stream with another `at` is the whole file, from
 * 0; `undefined` when only asking without a range can help.
 * @throws the client's, Failed
 */
export async function askForRange(
  session: Session,
  { at, end, signal }: { at: number; end?: number; signal: AbortSignal },
): Promise<Stream | undefined> {
  const { client, mirrors, headers, version, wanted } = session;
  const mirror = mirrors.current();
  if (version === undefined) return undefined;
  const own = version.from === mirror.index;
  // Another server's dates and tags say nothing about ours; a digest or the same strong tag does.
  const validator = own
    ? validatorOf(version)
    : wanted.digest === undefined
      ? strongEtag(version)
      : undefined;
  if (validator === undefined && wanted.digest === undefined) return undefined;
  const response = await client.open(mirror.url, {
    headers: {
      ...headers,
      range: `bytes=${at}-${end === undefined ? '' : end - 1}`,
      ...(validator === undefined ? {} : { 'if-range': validator }),
    },
    accept: [416],
    foreign: mirror.foreign,
    signal,
  });
  if (response.status === 200) return { at: 0, response, mirror };
  if (response.status === 206) {
    const fits = await judged(response, () => continues(session, response, { at, end, own }));
    if (fits) {
      session.begun(mirror.name);
      if (!own) session.version = { ...versionOf(response), size: version.size, from: mirror.index };
      return { at, response, mirror };
    }
  }
  await response.discard();
  return undefined;
}

/** Does a 206 bring the range that was asked for, of the same version? @throws Failed when it is no such answer at all */
function continues(
  session: Session,
  response: HttpResponse,
  { at, end, own }: { at: number; end: number | undefined; own: boolean },
): boolean {
  const { version, wanted } = session;
  const range = contentRange(response.headers);
  const length = lengthOf(response.headers);
  const url = response.url;
  const said = response.headers['content-range'] ?? 'no range';
  if (range === undefined || range.start !== at || range.end > (end ?? Infinity))
    throw unfit(url, `asked for the bytes from ${at} on, it sent ${said}`);
  if (length !== undefined && length !== range.end - range.start)
    throw unfit(url, `it sent ${length} bytes as ${said}`);
  const now: Version = versionOf(response);
  if (now.size !== undefined) checkSize(session, url, now.size);
  const same = sameVersion(version!, now);
  if (wanted.digest !== undefined)
    return own ? same !== false : version!.size !== undefined && version!.size === now.size;
  // A 206 repeats the validator (RFC 9110, 15.3.7). One that does not may come from who passes over If-Range.
  return same === true && (own || strongEtag(now) !== undefined);
}

/** `found` is such an answer already. @throws the client's, Failed */
async function askFromStart(session: Session, found: Stream | undefined): Promise<Stream> {
  const { client, mirrors, headers, signal } = session;
  const mirror = found?.mirror ?? mirrors.current();
  const response =
    found?.response ?? (await client.open(mirror.url, { headers, foreign: mirror.foreign, signal }));
  const version = await judged(response, () => {
    if (response.status !== 200)
      throw unfit(response.url, `it answered ${response.status} instead of the file`);
    const offered = versionOf(response);
    if (offered.size !== undefined) checkSize(session, response.url, offered.size, response);
    return offered;
  });
  beginComparing(session, version, mirror.index);
  session.begun(mirror.name);
  return { at: 0, response, mirror };
}

/** For messages: what login pages and error pages of proxies are. */
export function page(headers: HttpResponse['headers'] = {}): string {
  return headers['content-type']?.startsWith('text/html') === true ? ' (a page of HTML)' : '';
}

/** @throws Failed */
function checkSize(session: Session, url: string, size: number, response?: HttpResponse): void {
  const { wanted, maxBytes } = session;
  if (wanted.size !== undefined && size !== wanted.size) {
    throw unfit(url, `it has ${size} bytes${page(response?.headers)}, wanted are ${wanted.size}`);
  }
  if (size > maxBytes) throw unfit(url, `it has ${size} bytes, allowed are ${maxBytes}`);
}

async function judged<T>(response: HttpResponse, judge: () => T): Promise<T> {
  try {
    return judge();
  } catch (error) {
    if (error instanceof Failed) await response.discard();
    throw error;
  }
}
