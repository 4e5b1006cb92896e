/**
 * Lists of what is to be had offline, as others keep them: a URL or the name of an image on each line, or a directory
 * that `wget -x` filled. A list from which nothing comes is a mistake and never an empty result.
 */
import { readdirSync, readFileSync, statSync, type Dirent } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { CellarError, isCellarError } from '../core/errors.ts';
import type { Reference } from '../core/reference.ts';
import { parseReference } from '../core/reference.ts';
import { redact } from '../core/redact.ts';
import { parseImageLocation } from '../remote/oci/repository.ts';
import { fileReference, referenceOfPath } from './file-references.ts';
import { literal } from './variables.ts';
import { reasonOf } from '../sys/errno.ts';

/** A name, and the source as a configuration writes it. */
export interface Listed {
  readonly name: Reference;
  readonly source: string;
}

export interface Listing {
  readonly images: readonly Listed[];
  /** What lies in a directory and belongs to no host: names, relative to it. */
  readonly skipped: readonly string[];
}

/**
 * @param base the directory that relative paths of the configuration begin at
 * @throws E_CONFIG for a line that is none, with its number; for a list that is empty or not there
 */
export function readListing(path: string, base: string): Listing {
  const listing = isDirectory(path)
    ? readTree(path, base)
    : { images: parseList(read(path), path), skipped: [] };
  if (listing.images.length === 0) throw refuse(path, 'it names nothing');
  return listing;
}

/** Lines that are empty or begin with `#` are passed over; one thing may stand there twice. @throws E_CONFIG */
export function parseList(text: string, path: string): Listed[] {
  const found = new Map<Reference, Line & { line: number }>();
  for (const [index, raw] of text.split('\n').entries()) {
    const word = raw.trim();
    if (word === '' || word.startsWith('#')) continue;
    const line = index + 1;
    const listed = readLine(word, `${path}:${line}`);
    const first = found.get(listed.name);
    if (first !== undefined && first.place !== listed.place)
      throw refuse(`${path}:${line}`, `${listed.name} comes from elsewhere on line ${first.line}`);
    if (first === undefined) found.set(listed.name, { ...listed, line });
  }
  return [...found.values()].map(({ name, source }) => ({ name, source }));
}

interface Line extends Listed {
  /** The same for two ways to write one thing: `nginx` and `nginx:latest`, `https://h/x` and `https://h:443/x`. */
  readonly place: string;
}

const longestLine = 4096;

function readLine(word: string, place: string): Line {
  if (word.length > longestLine) throw refuse(place, `it has ${word.length} characters`);
  if (/\s/.test(word)) throw refuse(place, 'more than one word stands there');
  if (notPlain.test(word)) throw refuse(place, 'it is not plain UTF-8');
  if (/\{\{|\}\}|[<>]/.test(word)) throw refuse(place, `'${word}' was never filled in`);
  try {
    return /^[a-z][a-z0-9+.-]*:\/\//i.test(word) ? listedFile(word) : listedImage(word);
  } catch (error) {
    if (!isCellarError(error)) throw error;
    throw refuse(place, error.message, error);
  }
}

/** Control characters, and what stands for bytes that are no UTF-8. */
const notPlain = /[\p{Cc}\uFFFD]/u;

/** Kept as the file it is, whatever its name says that it holds. */
function listedFile(text: string): Line {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hash !== '')
    throw new CellarError('E_SOURCE_INVALID', {
      details: {
        source: text,
        problem: 'a list holds http and https URLs without a fragment (#), and names of images',
      },
    });
  if (url.password !== '')
    throw new CellarError('E_USAGE', { details: { problem: 'it has a password in it' } });
  // The name of a file holds the query, and is shown wherever the file is.
  if (redact(url.search) !== url.search)
    throw new CellarError('E_USAGE', {
      details: { problem: 'it has a secret in its query' },
      hint: "a name of its own keeps that to the configuration: 'cellar add NAME SOURCE'",
    });
  return { name: fileReference(url), source: `file+${literal(text)}`, place: url.href };
}

/** Under the name that it has there; one that is known by its digest only gets that for a tag. */
function listedImage(text: string): Line {
  const { origin, name: path, reference, digest } = parseImageLocation(`docker://${text}`);
  const named = text.replace(/@.*$/, '');
  const hasTag = /:[^/]*$/.test(named);
  const name = digest === undefined || hasTag ? named : `${named}:sha256-${digest}`;
  return {
    name: parseReference(name),
    source: `docker://${literal(text)}`,
    place: `${origin}/${path}@${reference}`,
  };
}

function readTree(path: string, base: string): Listing {
  const skipped: string[] = [];
  const images = namesBelow(path)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(({ isFile, name }): Listed[] => {
      const names = name.split('/');
      if (!isFile || names.length < 2) {
        skipped.push(name);
        return [];
      }
      return [
        { name: referenceOfPath(names), source: `file+file:${literal(placeOf(join(path, name), base))}` },
      ];
    });
  return { images, skipped };
}

/**
 * All but directories. Not by the recursion of readdir, which goes through links: out of the tree, which somebody else
 * may have made, to any directory of this machine.
 */
function namesBelow(root: string): { readonly name: string; readonly isFile: boolean }[] {
  const found: { name: string; isFile: boolean }[] = [];
  const directories = [''];
  for (let below = directories.pop(); below !== undefined; below = directories.pop()) {
    for (const entry of entriesOf(join(root, below))) {
      const name = join(below, entry.name);
      if (notPlain.test(name)) throw refuse(join(root, name), 'its name is not plain UTF-8');
      if (entry.isDirectory()) directories.push(name);
      else found.push({ name, isFile: entry.isFile() });
    }
  }
  return found;
}

function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    throw refuse(directory, `it cannot be read: ${reasonOf(error)}`, error);
  }
}

/** Relative below the configuration, so that both can be moved together. */
function placeOf(path: string, base: string): string {
  const inside = relative(base, resolve(path));
  return inside.startsWith('..') ? resolve(path) : inside;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    throw refuse(path, `it cannot be read: ${reasonOf(error)}`, error);
  }
}

function refuse(place: string, problem: string, cause?: unknown): CellarError {
  return new CellarError('E_CONFIG', {
    details: { place, problem },
    ...(isCellarError(cause) && cause.hint !== undefined ? { hint: cause.hint } : {}),
    ...(cause === undefined ? {} : { cause }),
  });
}
