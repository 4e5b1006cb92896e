/**
 * Kinds of values in the configuration. Each reads the text of a scalar, says what it wants when it does not
 * understand it, and knows its JSON Schema, in which a whole number is one and anything may hold a variable.
 */
import { z } from 'zod';
import { parseDigest, type Digest } from '../core/digest.ts';
import { canonicalPlatform, isPlatform, type Platform } from '../core/platform.ts';
import { parseBytes, parseCount, parseDuration, parsePositive } from '../core/quantity.ts';

/** What the reference page and the JSON Schema say of a key. */
export interface KeyDoc {
  readonly meaning: string;
  /** As text, or why there is none. */
  readonly standard?: string;
  readonly example?: string;
  /** For the page; else it follows from the schema. */
  readonly type?: string;
}

export const keyDocs = z.registry<KeyDoc>();

export interface ScalarDoc {
  readonly wanted: string;
  readonly type: string;
  readonly json: Readonly<Record<string, unknown>>;
}

export const scalarDocs = z.registry<ScalarDoc>();

const variable = String.raw`\$\{`;

/** What YAML takes for a number or a truth value is text here, where text is wanted. */
const scalars = ['string', 'number', 'boolean'];

/** A key that may be left out. */
export function key<T extends z.ZodType>(type: T, doc: KeyDoc): z.ZodOptional<T> {
  const optional = type.optional();
  keyDocs.add(optional, doc);
  return optional;
}

/** A key that has to be there. */
export function needed<T extends z.ZodType>(type: T, doc: KeyDoc): T {
  keyDocs.add(type, doc);
  return type;
}

export function scalar<T>(parse: (text: string) => T | undefined, doc: ScalarDoc): z.ZodType<T, string> {
  return z
    .string({ error: doc.wanted })
    .transform((text, context): T => {
      const value = parse(text);
      if (value !== undefined) return value;
      context.addIssue({ code: 'custom', message: doc.wanted });
      return z.NEVER;
    })
    .register(scalarDocs, doc);
}

export const text = (wanted = 'text', type = 'text'): z.ZodType<string, string> =>
  scalar((given) => (given === '' ? undefined : given), {
    wanted,
    type,
    json: { type: scalars, minLength: 1 },
  });

export const count = (): z.ZodType<number, string> =>
  scalar(parseCount, {
    wanted: 'a whole number',
    type: 'number',
    json: orVariable({ type: 'integer', minimum: 0 }, '[0-9]+'),
  });

export const positive = (): z.ZodType<number, string> =>
  scalar(parsePositive, {
    wanted: 'a whole number of at least 1',
    type: 'number',
    json: orVariable({ type: 'integer', minimum: 1 }, '0*[1-9][0-9]*'),
  });

export const flag = (): z.ZodType<boolean, string> =>
  scalar((given) => (given === 'true' ? true : given === 'false' ? false : undefined), {
    wanted: 'true or false',
    type: 'true, false',
    json: orVariable({ type: 'boolean' }, 'true|false'),
  });

const durationPattern = String.raw`(?:0+|[0-9]+(?:\.[0-9]+)?\s*(?:ms|s|m|min|h|d|w|y))`;

/** Milliseconds. */
export const duration = (): z.ZodType<number, string> =>
  scalar(parseDuration, {
    wanted: 'a time such as 30s, 15m, 6h, 7d, 4w or 1y',
    type: 'time',
    json: { anyOf: [{ const: 0 }, { type: 'string', pattern: matching(durationPattern) }] },
  });

/** Milliseconds between two looks, 0 for `always`; `never` is told apart, so that it can outdo a default. */
export const refresh = (): z.ZodType<number | 'never', string> =>
  scalar((given) => (given === 'never' ? given : given === 'always' ? 0 : parseDuration(given)), {
    wanted: "a time such as 15m, 6h or 7d, or 'always' or 'never'",
    type: 'time, always, never',
    json: {
      anyOf: [{ const: 0 }, { type: 'string', pattern: matching(`(?:always|never|${durationPattern})`) }],
    },
  });

/** A moment, in seconds since the epoch, or a time after the image was pulled, in milliseconds. */
export type Expiry = { readonly at: number } | { readonly after: number };

export const expiry = (): z.ZodType<Expiry, string> =>
  scalar(parseExpiry, {
    wanted:
      'a time after the pull such as 90d, or a moment in whole seconds since the epoch (date +%s), between 2001 and 5138',
    type: 'time, epoch',
    json: {
      ...{ type: ['string', 'integer'], minimum: 1e9, maximum: 1e11 },
      pattern: matching(`(?:${durationPattern}|[0-9]{10,12})`),
    },
  });

/** A number that is no moment of our days is a mistake: milliseconds, or a time without its unit. */
function parseExpiry(given: string): Expiry | undefined {
  if (!/^\d+$/.test(given)) {
    const after = parseDuration(given);
    return after === undefined ? undefined : { after };
  }
  const at = Number(given);
  return at >= 1e9 && at <= 1e11 ? { at } : undefined;
}

const sizePattern = String.raw`[0-9]+(?:\.[0-9]+)?\s*[KMGTkmgt]?(?:[Ii]?[Bb])?`;

/** Bytes. */
export const size = (suffix = ''): z.ZodType<number, string> =>
  scalar(
    (given) => parseBytes(given.endsWith(suffix) ? given.slice(0, given.length - suffix.length) : given),
    {
      wanted: 'a size such as 500MiB, 200GiB or 64kB',
      type: 'size',
      json: {
        type: ['string', 'number'],
        minimum: 0,
        pattern: matching(`${sizePattern}${suffix && `(?:${suffix})?`}`),
      },
    },
  );

export const digest = (): z.ZodType<Digest, string> =>
  scalar(parseDigest, {
    wanted: 'a SHA-256 of 64 hex digits',
    type: 'digest',
    // One of nothing but digits is a number to YAML.
    json: { type: ['string', 'number'], pattern: matching('(?:sha256:)?[0-9a-fA-F]{64}') },
  });

/** A file; what is relative is so to the directory of the configuration it stands in. */
export const file = (): z.ZodType<string, string> => text('the path of a file', 'file');

export const word = <const W extends string>(words: readonly W[]): z.ZodType<W, string> =>
  scalar((given) => words.find((name) => name === given), {
    wanted: `one of ${words.join(', ')}`,
    type: words.join(', '),
    json: orVariable({ enum: words }),
  });

export const pattern = (
  expression: RegExp,
  doc: Omit<ScalarDoc, 'json'> & Partial<ScalarDoc>,
): z.ZodType<string, string> =>
  scalar((given) => (expression.test(given) ? given : undefined), { json: { type: 'string' }, ...doc });

/** Whatever stands there is text: a version stays one. */
export const plain = z.string({ error: 'text' }).register(scalarDocs, {
  wanted: 'text',
  type: 'text',
  json: { type: scalars },
});

export const groupName = pattern(/^[a-z0-9][a-z0-9._-]*$/, {
  wanted: 'a group: lower-case letters, digits and . _ -',
  type: 'group',
  json: { type: ['string', 'integer'], pattern: matching('[a-z0-9][a-z0-9._-]*') },
});

/** One or several. */
export function some<T>(item: z.ZodType<T, string>): z.ZodType<T[], string | string[]> {
  const doc = scalarDocs.get(item)!;
  return z
    .preprocess(
      (given) => (typeof given === 'string' ? [given] : given),
      z.array(item, { error: `a list: ${doc.wanted}` }),
    )
    .register(scalarDocs, {
      ...doc,
      type: `${doc.type}, or a list`,
      json: { anyOf: [doc.json, { type: 'array', items: doc.json }] },
    }) as unknown as z.ZodType<T[], string | string[]>;
}

const platform = (): z.ZodType<Platform, string> =>
  scalar((given) => (isPlatform(given) ? canonicalPlatform(given) : undefined), {
    wanted: 'a platform such as linux/amd64',
    type: 'platform',
    json: { type: 'string', pattern: matching('[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9]+)?') },
  });

export function platforms(): z.ZodType<readonly Platform[] | 'all', string | string[]> {
  const list = some(platform());
  const doc = scalarDocs.get(list)!;
  return z
    .union([z.literal('all'), list], { error: "a platform such as linux/amd64, a list of them, or 'all'" })
    .register(scalarDocs, {
      ...doc,
      type: 'platform, list, all',
      json: { anyOf: [{ const: 'all' }, doc.json] },
    });
}

/** `quoted`: the same as text, which it is here, too. */
function orVariable(json: object, quoted?: string): Readonly<Record<string, unknown>> {
  const pattern = quoted === undefined ? variable : matching(`(?:${quoted})`);
  return { anyOf: [json, { type: 'string', pattern }] };
}

function matching(expression: string): string {
  return `^${expression}$|${variable}`;
}
