/** The files beside a part that prove it, asked for all at once and weighed in the order that evidence.ts gives. */
import type { Digest } from '../../core/digest.ts';
import { CellarError, isCellarError } from '../../core/errors.ts';
import { redact } from '../../core/redact.ts';
import { digestOf, parseChecksums } from './checksums.ts';
import type { Evidence, EvidenceOptions, Provable } from './evidence.ts';
import { clearText, isClearSigned, openSignature, verifyClearSigned, type Signer } from './openpgp.ts';

interface Beside {
  readonly part: Provable & { readonly url: string };
  readonly options: EvidenceOptions;
  /** URL of a file beside it. */
  at(name: string): string;
  /** Spellings of its name. */
  readonly names: readonly string[];
}

interface Found {
  readonly url: string;
  readonly bytes: Buffer;
}

/** A list that is there; signed or not. */
interface Listing {
  readonly url: string;
  readonly sha256: Digest;
  readonly signer?: Signer;
}

export async function findSidecars(
  part: Provable & { readonly url: string },
  options: EvidenceOptions,
): Promise<Evidence> {
  const beside = placesBeside(part, options);
  const [file] = beside.names;
  const wantsSignature = options.policy !== 'checksum';
  const overFile = wantsSignature ? ['.asc', '.gpg', '.sig'].map((suffix) => `${file}${suffix}`) : [];
  // Who wants no more than a sum is content with the first; a signature may hang on either.
  const [own, ...others] = await fetchAll(beside, [
    `${file}.sha256`,
    ...(wantsSignature ? ['SHA256SUMS', ...overFile] : []),
  ]);
  const [sums, ...detached] =
    wantsSignature || own !== undefined ? others : await fetchAll(beside, ['SHA256SUMS']);
  const over = detached.find((each) => each !== undefined && !isForeign(each));
  if (over !== undefined) return await signedItself(beside, over, [own, sums]);
  const first = await ownListing(beside, own);
  const second =
    first?.signer === undefined
      ? await sharedListing(beside, sums, first !== undefined || part.sha256 !== undefined)
      : undefined;
  agree(part, first, second);
  const best = second?.signer === undefined ? (first ?? second) : second;
  if (best === undefined) return { level: 'no' };
  const { url, sha256, signer } = best;
  return signer === undefined
    ? { level: 'checksum', sha256, checksums: redact(url) }
    : { level: 'signature', sha256, checksums: redact(url), signer };
}

/** Sums help it along: with a digest the store may know that it has the file. */
async function signedItself(
  beside: Beside,
  over: Found,
  [own, sums]: readonly (Found | undefined)[],
): Promise<Evidence> {
  const { part, options } = beside;
  const opened = await openSignature(over.bytes, {
    ...context(beside, part.url, over.url),
    isBinary: true,
  });
  const [list] = [own, sums].filter((each) => each !== undefined);
  const listed = list === undefined ? undefined : tryListed(beside, { list, own: list === own });
  return {
    level: 'signature',
    signer: opened.signer,
    verifyFile: (chunks) => opened.verify(untilAborted(chunks, options.signal)),
    ...(listed === undefined ? {} : { sha256: listed, checksums: redact(list!.url) }),
  };
}

/** `FILE.sha256`. */
async function ownListing(beside: Beside, own: Found | undefined): Promise<Listing | undefined> {
  if (own === undefined) return undefined;
  const { text, signer } = await readList(beside, own, ['.asc', '.gpg']);
  const sha256 = pick(beside, { text, url: own.url, own: true });
  return { url: own.url, sha256, ...(signer === undefined ? {} : { signer }) };
}

/** `SHA256SUMS`; `undefined` when there is none, or it may be silent about the part and is. */
async function sharedListing(
  beside: Beside,
  sums: Found | undefined,
  maySayNothing: boolean,
): Promise<Listing | undefined> {
  const wantsSignature = beside.options.policy !== 'checksum';
  const list = sums ?? (wantsSignature ? await clearSums(beside) : undefined);
  if (list === undefined) return undefined;
  const { text, signer } = await readList(beside, list, ['.gpg', '.asc', '.sign']);
  try {
    const sha256 = pick(beside, { text, url: list.url, own: false });
    return { url: list.url, sha256, ...(signer === undefined ? {} : { signer }) };
  } catch (error) {
    if (maySayNothing && beside.options.policy !== 'signature' && isCellarError(error, 'E_CHECKSUM_NAME'))
      return undefined;
    throw error;
  }
}

/** Some publish the sums only within their signature. */
async function clearSums(beside: Beside): Promise<Found | undefined> {
  const [found] = await fetchAll(beside, ['SHA256SUMS.asc']);
  return found !== undefined && isClearSigned(found.bytes) ? found : undefined;
}

/** The text that counts: what a signature covers, where signatures are wanted and there is one. */
async function readList(
  beside: Beside,
  list: Found,
  suffixes: readonly string[],
): Promise<{ text: string; signer?: Signer }> {
  const wantsSignature = beside.options.policy !== 'checksum';
  if (isClearSigned(list.bytes))
    return wantsSignature
      ? await verifyClearSigned(list.bytes, context(beside, list.url, list.url))
      : { text: clearText(list.bytes) };
  const text = list.bytes.toString();
  if (!wantsSignature) return { text };
  const name = list.url.slice(list.url.lastIndexOf('/') + 1);
  const found = await fetchAll(
    beside,
    suffixes.map((suffix) => `${name}${suffix}`),
  );
  const signature = found.find((each) => each !== undefined);
  if (signature === undefined) return { text };
  if (isClearSigned(signature.bytes))
    return await verifyClearSigned(signature.bytes, context(beside, signature.url, signature.url));
  const opened = await openSignature(signature.bytes, context(beside, list.url, signature.url));
  return { text, signer: await opened.verify([list.bytes]) };
}

interface List {
  readonly text: string;
  readonly url: string;
  readonly own: boolean;
}

function pick({ names }: Beside, { text, url, own }: List): Digest {
  return digestOf(parseChecksums(text, url), { names, own, source: url });
}

function tryListed(beside: Beside, { list, own }: { list: Found; own: boolean }): Digest | undefined {
  const text = isClearSigned(list.bytes) ? clearText(list.bytes) : list.bytes.toString();
  try {
    return pick(beside, { text, url: list.url, own });
  } catch (error) {
    if (isCellarError(error, 'E_CHECKSUM_NAME')) return undefined;
    throw error;
  }
}

/** @throws E_CHECKSUM_CONFLICT */
function agree({ name }: Provable, first: Listing | undefined, second: Listing | undefined): void {
  if (first === undefined || second === undefined || first.sha256 === second.sha256) return;
  throw new CellarError('E_CHECKSUM_CONFLICT', {
    details: { name, source: second.url, found: second.sha256, other: first.url, wanted: first.sha256 },
  });
}

/** Other kinds of signatures share the suffix `.sig`; they are not what is looked for here, and no page of errors. */
function isForeign({ url, bytes }: Found): boolean {
  const text = bytes.toString().trim();
  return (
    url.endsWith('.sig') &&
    (text.startsWith('untrusted comment:') ||
      /^\{[\s\S]*\}$/.test(text) ||
      /^[A-Za-z0-9+/\s]{40,}={0,2}$/.test(text))
  );
}

/** All at once, in order; `undefined` where there is none. The first failure counts. */
async function fetchAll(beside: Beside, names: readonly string[]): Promise<(Found | undefined)[]> {
  const { options } = beside;
  const settled = await Promise.allSettled(
    names.map(async (name) => {
      const url = beside.at(name);
      const bytes = await options.small(url);
      return bytes === undefined ? undefined : { url, bytes };
    }),
  );
  return settled.map((each) => {
    if (each.status === 'rejected') throw closed(each.reason);
    return each.value;
  });
}

/** Servers that answer 403 for what they do not have leave open whether somebody is in the way. */
function closed(error: unknown): unknown {
  if (!isCellarError(error, 'E_HTTP_STATUS') && !isCellarError(error, 'E_AUTHENTICATION')) return error;
  return new CellarError(error.code, {
    details: error.details,
    hint: 'only 404 says that there is none; --sha256 gives the digest, and nothing is asked for then',
    cause: error,
  });
}

function context({ options }: Beside, source: string, signature: string) {
  return { keyring: options.keyring, now: options.now, source, signature };
}

/** Sidecars are named after the last component of the path, without the query, as it stands in the URL. */
function placesBeside(part: Provable & { readonly url: string }, options: EvidenceOptions): Beside {
  const url = new URL(part.url);
  const raw = url.pathname.slice(url.pathname.lastIndexOf('/') + 1);
  return {
    part,
    options,
    names: [...new Set([raw, decoded(raw)])],
    at(name) {
      const place = new URL(url);
      place.search = '';
      place.hash = '';
      place.pathname = `${url.pathname.slice(0, url.pathname.lastIndexOf('/') + 1)}${name}`;
      return place.href;
    },
  };
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

async function* untilAborted(
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    if (signal.aborted) throw new CellarError('E_CANCELLED', { cause: signal.reason });
    yield chunk;
  }
}
