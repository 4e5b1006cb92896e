/** The files of a configuration: the one that was named and what it includes, each once. */
import { globSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, join, relative } from 'node:path';
import { convert, nodeOf, parseConfigFile, type ConfigFile } from './document.ts';
import { configError, type Place } from './place.ts';
import { substitution } from './variables.ts';
import type { Environment } from '../core/environment.ts';

export interface Reading {
  readonly env: Environment;
  /** What the first file holds, or is about to; else it is read. */
  readonly text?: string | undefined;
}

/** In the order in which they are named, includes after the file that names them. @throws E_CONFIG */
export function readConfigFiles(path: string, { env, text }: Reading): ConfigFile[] {
  const files: ConfigFile[] = [];
  const seen = new Set<string>();
  const read = (file: ConfigFile, above: readonly string[]): void => {
    const identity = identityOf(file.path);
    seen.add(identity);
    files.push(file);
    for (const { path: next, place } of includesOf(file, env)) {
      const below = [...above, identity];
      const target = identityOf(next);
      if (below.includes(target))
        throw configError({ place, problem: `${next} is included again by what it includes itself` });
      if (!seen.has(target)) read(parseConfigFile(next), below);
    }
  };
  read(parseConfigFile(path, text), []);
  return files;
}

/** Variables may come from an included file, so what is included depends on none but the environment's. */
function includesOf(file: ConfigFile, env: Environment): { path: string; place: Place }[] {
  const node = nodeOf(file, 'include');
  if (node === undefined) return [];
  const { value, place } = convert(file, node, substitution(new Map(), env));
  const patterns = typeof value === 'string' ? [value] : Array.isArray(value) ? (value as unknown[]) : [];
  return patterns.flatMap((pattern, index) =>
    typeof pattern === 'string'
      ? matches(pattern, { file, place: place([index]) }).map((path) => ({ path, place: place([index]) }))
      : [],
  );
}

function matches(pattern: string, { file, place }: { file: ConfigFile; place: Place }): string[] {
  const directory = dirname(file.path);
  const found = globSync(pattern, { cwd: directory }).toSorted();
  if (found.length === 0 && !/[*?[\]{}]/.test(pattern))
    throw configError({ place, problem: `there is no file ${beside(directory, pattern)}` });
  return found.map((name) => beside(directory, name));
}

/** As a user would name it from where the first file was named. */
function beside(directory: string, name: string): string {
  if (isAbsolute(name)) return name;
  const path = join(directory, name);
  return isAbsolute(path) ? path : relative('', path);
}

function identityOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // It is about to be made, or about to be missed by whoever reads it.
    return path;
  }
}
