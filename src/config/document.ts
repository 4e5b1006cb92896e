/**
 * One YAML file, with the position of everything in it. Every scalar is text here, whatever YAML would make of it:
 * `1.10` stays a version and `no` a word, and what a key wants decides how its text is read.
 */
import { readFileSync } from 'node:fs';
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
  type Node,
  type YAMLMap,
} from 'yaml';
import { CellarError } from '../core/errors.ts';
import { configError, showPlace, type Place } from './place.ts';
import { reasonOf } from '../sys/errno.ts';

export type Plain = string | readonly Plain[] | { readonly [key: string]: Plain };

export interface ConfigFile {
  readonly path: string;
  readonly document: Document.Parsed;
  readonly placeOf: (node: unknown) => Place;
}

/** Turns the text of a scalar into what it stands for. */
export type Substitute = (text: string, place: Place) => string;

export interface Converted {
  /** `undefined` for an empty file. Keys without a value are left out. */
  readonly value: Plain | undefined;
  /** Of the key where there is one, else of the value; the nearest thing above for what is not there. */
  readonly place: (path: Path) => Place;
  /** As it stands in the file, before substitution. */
  readonly raw: (path: Path) => string | undefined;
}

export type Path = readonly PropertyKey[];

/** @param text of the file, where it was read already @throws E_CONFIG */
export function parseConfigFile(path: string, text = read(path)): ConfigFile {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    // Both places are to be named, which the library does not do.
    uniqueKeys: false,
    version: '1.2',
    schema: 'core',
  });
  const at = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file: path, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const [error, ...more] = [...document.errors, ...document.warnings].map(({ code, pos, message }) => ({
    place: at(pos[0]),
    problem: code === 'MULTIPLE_DOCS' ? 'a second document begins here; a configuration is one' : message,
  }));
  if (error !== undefined) throw configError(error, more);
  return { path, document, placeOf: (node) => at((node as Node | null)?.range?.[0] ?? 0) };
}

/** @throws E_CONFIG */
export function convert(file: ConfigFile, node: unknown, substitute: Substitute): Converted {
  const seen = new Map<string, { place: Place; raw?: string }>();
  const value = walk(node, { file, substitute, seen, path: [], visited: { nodes: 0, aliases: 0 } });
  return {
    value,
    place(path) {
      for (let length = path.length; length > 0; length--) {
        const found = seen.get(keyOf(path.slice(0, length)));
        if (found !== undefined) return found.place;
      }
      return file.placeOf(node);
    },
    raw: (path) => seen.get(keyOf(path))?.raw,
  };
}

/** The value of a key, in the mapping that a file is. */
export function nodeOf(file: ConfigFile, key: string): unknown {
  const { contents } = file.document;
  return isMap(contents) ? (contents as YAMLMap).get(key, true) : undefined;
}

interface Walk {
  readonly file: ConfigFile;
  readonly substitute: Substitute;
  readonly seen: Map<string, { place: Place; raw?: string }>;
  readonly path: Path;
  readonly visited: { nodes: number; aliases: number };
}

/** Aliases are followed, so a small file can name a great many things. */
const maxNodes = 500_000;
const maxAliases = 1000;
const maxDepth = 32;

function walk(node: unknown, walking: Walk): Plain | undefined {
  const { file, path, seen, substitute } = walking;
  const { visited } = walking;
  visited.nodes++;
  if (isAlias(node)) visited.aliases++;
  if (visited.nodes > maxNodes || visited.aliases > maxAliases || path.length > maxDepth)
    throw configError({
      place: file.placeOf(node),
      problem: 'this is nested too deep or repeated too often',
    });
  if (isAlias(node)) {
    const target = node.resolve(file.document);
    if (target === undefined)
      throw configError({ place: file.placeOf(node), problem: `there is no anchor &${node.source}` });
    return walk(target, walking);
  }
  if (isMap(node)) return walkMap(node, walking);
  if (isSeq(node))
    return node.items.flatMap((item, index) => {
      const below = [...path, index];
      const raw = rawText(item);
      seen.set(keyOf(below), { place: file.placeOf(item), ...(raw === undefined ? {} : { raw }) });
      return walk(item, { ...walking, path: below }) ?? [];
    });
  const text = rawText(node);
  return text === undefined ? undefined : substitute(text, file.placeOf(node));
}

function walkMap(node: YAMLMap, walking: Walk): Plain {
  const { file, path, seen, substitute } = walking;
  const result: Record<string, Plain> = {};
  const places = new Map<string, Place>();
  for (const { key, value } of node.items) {
    const place = file.placeOf(key);
    const text = rawText(key);
    if (text === undefined) throw configError({ place, problem: 'a key has to be text' });
    const name = substitute(text, place);
    const first = places.get(name);
    if (first !== undefined)
      throw configError({ place, problem: `'${name}' is given twice, first at ${showPlace(first)}` });
    places.set(name, place);
    const below = [...path, name];
    const raw = rawText(value);
    seen.set(keyOf(below), { place, ...(raw === undefined ? {} : { raw }) });
    const plain = walk(value, { ...walking, path: below });
    if (plain !== undefined)
      Object.defineProperty(result, name, { value: plain, enumerable: true, configurable: true });
  }
  return result;
}

/** Numbers, booleans and dates as they are written. */
function rawText(node: unknown): string | undefined {
  if (!isScalar(node) || node.value === null || node.value === undefined) return undefined;
  return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
}

function keyOf(path: Path): string {
  return path.map(String).join('\0');
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CellarError('E_CONFIG', {
      details: { place: path, problem: `it cannot be read: ${reasonOf(error)}` },
      cause: error,
    });
  }
}
