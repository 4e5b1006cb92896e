/**
 * The newest of several files in a directory with SHA256SUMS, whose names match a regular expression: what upstream
 * deletes old releases of can be followed without naming one. The digest in the sums is enforced.
 *
 *   latest:https://host/directory/?REGEX       the whole name has to match; numbers in it count as numbers
 *
 * Revision: the expression, the name and its digest.
 */
import { runInNewContext } from 'node:vm';
import type { Digest } from '../core/digest.ts';
import { isCellarError } from '../core/errors.ts';
import {
  firstToAnswer,
  isUnchanged,
  knownOf,
  offered,
  onlyPlatform,
  validatorsOf,
  type Validators,
} from './ask.ts';
import {
  gone,
  invalid,
  junk,
  nameOfUrl,
  parseBases,
  shapeOfName,
  splitShape,
  urlBelow,
  type Shape,
} from './location.ts';
import type { Driver, Offer, Seen, Source, SourceOptions, Surroundings } from './port.ts';
import { parseChecksums } from './verify/checksums.ts';
import { clearText, isClearSigned } from './verify/openpgp.ts';
import { newest } from './version-order.ts';

export const latestDriver: Driver = {
  name: 'latest',
  open: openLatest,
};

interface Wanted {
  readonly directory: string;
  /** As it was written. */
  readonly expression: string;
  readonly pattern: RegExp;
  readonly shape?: Shape;
}

/** @throws E_SOURCE_INVALID */
export function parseLatestLocation(location: string): Wanted {
  const { rest, ...forced } = splitShape(location.replace(/^latest:/i, ''));
  const [, directory, expression] = /^(https?:\/\/[^?#]+)\?(.+)$/is.exec(rest) ?? [];
  if (directory === undefined || expression === undefined)
    throw invalid(location, 'write latest:https://HOST/DIRECTORY/?REGEX');
  return { directory, expression, pattern: compile(expression, location), ...forced };
}

function openLatest(location: string, { mirrors }: SourceOptions): Source {
  const wanted = parseLatestLocation(location);
  const directories = parseBases([wanted.directory, ...mirrors], location);
  return {
    origin: directories[0]!.origin,
    async look(query, surroundings) {
      const platform = onlyPlatform(query);
      const known = knownOf(query, platform);
      const { answer, place, others } = await firstToAnswer(directories, location, (directory) =>
        readSums(directory, known, { wanted, surroundings }),
      );
      if (answer === undefined) throw gone(location, 'the directory has no SHA256SUMS');
      if (answer === 'unchanged') return [unchanged(known!, wanted)];
      const { name, sha256 } = choose(answer, location, wanted);
      const urls = [place, ...others].map((directory) => urlBelow(directory, name, answer.url));
      const { kind, format } = wanted.shape ?? shapeOfName(name);
      const offer: Offer = {
        platform,
        revision: `${wanted.expression} ${name} ${sha256}`,
        ...answer.validators,
        kind,
        labels: {},
        parts: [
          {
            role: 'content',
            name: nameOfUrl(new URL(urls[0]!)),
            sha256,
            ...(format === undefined ? {} : { format }),
            from: { type: 'http', urls },
          },
        ],
      };
      return [offered(offer, known)];
    },
    async [Symbol.asyncDispose]() {},
  };
}

interface Sum {
  readonly name: string;
  readonly sha256: Digest;
}

interface Listing {
  readonly sums: readonly Sum[];
  readonly url: string;
  readonly validators: Validators;
}

const sumsLimit = 8 << 20;

async function readSums(
  directory: URL,
  known: Seen | undefined,
  { wanted, surroundings }: { wanted: Wanted; surroundings: Surroundings },
): Promise<Listing | 'unchanged' | undefined> {
  const url = urlBelow(directory, 'SHA256SUMS', directory.href);
  const isOurs = known !== undefined && revisionParts(known)?.expression === wanted.expression;
  if (isOurs && (await isUnchanged(url, [known], surroundings))) return 'unchanged';
  const { client, signal } = surroundings;
  const answer = await client.small(url, { limit: sumsLimit, signal });
  if (answer === undefined) return undefined;
  const sums = readNamedSums(answer.bytes, url);
  return { sums, url, validators: validatorsOf(answer.headers) };
}

/** Who signed them is looked at afterwards, as for every source. */
function readNamedSums(bytes: Buffer, url: string): Sum[] {
  const text = isClearSigned(bytes) ? clearText(bytes) : bytes.toString();
  try {
    return parseChecksums(text, url).filter((sum): sum is Sum => sum.name !== undefined);
  } catch (error) {
    throw isCellarError(error, 'E_CHECKSUM_FORMAT') ? junk(url, error.message) : error;
  }
}

function choose({ sums, url }: Listing, location: string, { pattern, expression }: Wanted): Sum {
  const matching = matchingSums(sums, pattern, location);
  if (matching.length === 0)
    throw gone(location, `none of the ${sums.length} names in SHA256SUMS matches ${expression}`);
  const best = newest(matching, ({ name }) => name);
  if (matching.some(({ name, sha256 }) => name === best.name && sha256 !== best.sha256))
    throw junk(url, `it lists ${best.name} with two digests`);
  return best;
}

/** No file system has files with longer names. */
const longestName = 255;
/** Milliseconds; a hundred thousand names take a tenth of a second. */
const matchingTimeout = 1000;

/**
 * An expression and a name that a server made up for it can take for ever, in which no signal would be heard: only the
 * runtime itself can end that.
 */
function matchingSums(sums: readonly Sum[], pattern: RegExp, location: string): readonly Sum[] {
  const names = sums
    .map(({ name }) => name)
    .filter((name) => name.length <= longestName && !name.includes('/'));
  try {
    const found: unknown = runInNewContext(
      'names.filter((name) => pattern.test(name))',
      { names, pattern },
      { timeout: matchingTimeout },
    );
    const matching = new Set(found as string[]);
    return sums.filter(({ name }) => matching.has(name));
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    throw invalid(location, 'its expression takes too long for the names in SHA256SUMS; write a simpler one');
  }
}

function unchanged(known: Seen, { shape }: Wanted): Offer {
  const { kind } = shape ?? shapeOfName(revisionParts(known)!.name);
  return { ...known, kind, unchanged: true, parts: [], labels: {} };
}

/** A listed name that could be offered has no spaces. */
function revisionParts({ revision }: Seen): { expression: string; name: string } | undefined {
  const [, expression, name] = /^(.*) (\S+) [0-9a-f]{64}$/s.exec(revision) ?? [];
  return expression === undefined || name === undefined ? undefined : { expression, name };
}

function compile(expression: string, location: string): RegExp {
  try {
    return new RegExp(`^(?:${expression})$`);
  } catch (error) {
    throw invalid(location, (error as Error).message);
  }
}
