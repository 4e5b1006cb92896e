/**
 * cellar.yaml and what it includes, as one configuration: read, checked, variables filled in, defaults applied.
 * Nothing in it outdoes anything else in it: what is said twice is an error that names both places.
 */
import type { Environment } from '../core/environment.ts';
import { isCellarError } from '../core/errors.ts';
import { nearestReference } from '../core/nearest.ts';
import { parseReference, type Reference } from '../core/reference.ts';
import { withoutCosign } from '../source/drivers.ts';
import { canonical, makeDeployments, type DeploymentEntry, type WrittenDeployment } from './deployments.ts';
import type { DeployDefaultSettings } from './deployment-schema.ts';
import { parseConfigFile } from './document.ts';
import { makeDefaults, makeEntry, type EntryDefaults, type ImageEntry, type StoreLimits } from './images.ts';
import { readConfigFiles, type Reading } from './includes.ts';
import { assembled, onlyOnce, parseAll, variablesOf, type Once, type Part } from './parts.ts';
import { findConfig } from './find.ts';
import { configError, type Place } from './place.ts';
import type { DefaultSettings, ImageSettings, StoreSettings } from './schema.ts';
import { matcher } from './select.ts';
import { substitution } from './variables.ts';

export interface LoadedConfig {
  /** As they were named, the main one first; none when there is no configuration. */
  readonly files: readonly string[];
  readonly store: StoreLimits;
  /** For what is in no configuration, such as an image pulled by hand. */
  readonly defaults: EntryDefaults;
  /** In the order of the files. */
  readonly images: readonly ImageEntry[];
  readonly groups: ReadonlyMap<string, readonly Reference[]>;
  /** In the order of the files, which is the order in which they are deployed. */
  readonly deployments: readonly DeploymentEntry[];
}

/** An image as it is written, and where. */
export interface WrittenImage {
  readonly settings: ImageSettings;
  readonly place: Place;
}

/**
 * Relative paths in it are resolved, durations are milliseconds, sizes bytes; secrets are not read yet.
 * @param path else ./cellar.yaml, else /etc/cellar/cellar.yaml, else it is empty
 * @throws E_CONFIG
 */
export function loadConfig(path: string | undefined, env: Environment = process.env): LoadedConfig {
  const found = findConfig(path);
  if (found === undefined)
    return {
      ...{ files: [], store: {}, defaults: makeDefaults({}), images: [], groups: new Map() },
      deployments: [],
    };
  return readConfig(found, { env }).config;
}

/** A configuration, and what an editor of it wants to know besides. */
export interface ReadConfig {
  readonly config: LoadedConfig;
  /** What each image says itself. */
  readonly written: ReadonlyMap<Reference, WrittenImage>;
  /** The images of a text, as they would be in the first file. @throws E_CONFIG */
  readonly readImages: (text: string) => ReadonlyMap<Reference, WrittenImage>;
}

/** @throws E_CONFIG */
export function readConfig(path: string, reading: Reading): ReadConfig {
  const files = readConfigFiles(path, reading);
  const substitute = substitution(variablesOf(files), reading.env);
  const parts = parseAll(files, substitute);
  const once = onlyOnce();
  const written = writtenImages(parts, once);
  const defaults = assembled<DefaultSettings>(parts, 'defaults', once);
  const groups = groupsOf(parts, written, once);
  const images = [...written].map(([reference, { settings, place }]) =>
    makeEntry(settings, {
      reference,
      where: `${place.file}:${place.line}`,
      groups: [...groups].filter(([, members]) => members.includes(reference)).map(([name]) => name),
      defaults,
    }),
  );
  const { 'max-size': maxSize, keep, grace } = assembled<StoreSettings>(parts, 'store', once);
  const store = {
    ...(maxSize === undefined ? {} : { maxSize }),
    ...(keep === undefined ? {} : { keep }),
    ...(grace === undefined ? {} : { grace }),
  };
  const deployments = makeDeployments(
    writtenDeployments(parts, once),
    assembled<DeployDefaultSettings>(parts, 'deploy-defaults', once),
  );
  const names = files.map((file) => file.path);
  return {
    config: { files: names, store, defaults: makeDefaults(defaults), images, groups, deployments },
    written,
    readImages: (text) => writtenImages(parseAll([parseConfigFile(path, text)], substitute), onlyOnce()),
  };
}

function writtenImages(parts: readonly Part[], once: Once): Map<Reference, WrittenImage> {
  const written = new Map<Reference, WrittenImage>();
  for (const { settings, place: placeOf } of parts)
    for (const [name, image] of Object.entries(settings.images ?? {})) {
      const place = placeOf(['images', name]);
      const reference = readReference(name, place);
      once(`image ${reference}`, place);
      if (image.cosign !== undefined) requireImage(image, placeOf(['images', name, 'cosign']));
      written.set(reference, { settings: image, place });
    }
  return written;
}

/** A default is for all images, of whatever kind; what one of them says of itself would go unheeded. */
function requireImage({ source }: ImageSettings, place: Place): void {
  const problem = withoutCosign(source);
  if (problem !== undefined) throw configError({ place, problem });
}

function writtenDeployments(parts: readonly Part[], once: Once): WrittenDeployment[] {
  return parts.flatMap(({ settings: { deployments = {} }, place: placeOf }) =>
    Object.entries(deployments).map(([name, settings]): WrittenDeployment => {
      const place = placeOf(['deployments', name]);
      once(`deployment ${name}`, place);
      // Two that take turns at one place would both change it every time.
      once(`target ${canonical(settings.target)}`, placeOf(['deployments', name, 'target']));
      return { name, settings, place, placeOf: (path) => placeOf(['deployments', name, ...path]) };
    }),
  );
}

function groupsOf(
  parts: readonly Part[],
  written: ReadonlyMap<Reference, WrittenImage>,
  once: Once,
): ReadonlyMap<string, readonly Reference[]> {
  const groups = new Map<string, Set<Reference>>();
  const references = [...written.keys()];
  for (const { settings, place } of parts)
    for (const [group, members] of Object.entries(settings.groups ?? {})) {
      once(`group ${group}`, place(['groups', group]));
      const found = members.map((name, index) =>
        membersNamed(name, references, place(['groups', group, index])),
      );
      groups.set(group, new Set(found.flat()));
    }
  for (const [reference, { settings }] of written)
    for (const group of settings.groups ?? [])
      groups.set(group, (groups.get(group) ?? new Set()).add(reference));
  for (const name of groups.keys()) refuseNameOfImage(name, written);
  const order = (members: ReadonlySet<Reference>): Reference[] =>
    references.filter((reference) => members.has(reference));
  return new Map([...groups].map(([group, members]) => [group, order(members)]));
}

function membersNamed(name: string, references: readonly Reference[], place: Place): readonly Reference[] {
  const found = references.filter(matcher(name));
  // A pattern says what is to belong, not that there is some.
  if (found.length > 0 || name.includes('*')) return found;
  const near = nearestReference(
    name,
    references.map((reference) => reference.replace(/:latest$/, '')),
  );
  throw configError({
    place,
    problem: `there is no image '${name}'`,
    ...(near === undefined ? {} : { hint: `did you mean '${near}'?` }),
  });
}

function refuseNameOfImage(name: string, written: ReadonlyMap<Reference, WrittenImage>): void {
  const image = written.get(`${name}:latest`);
  if (image !== undefined)
    throw configError({ place: image.place, problem: `'${name}' is the name of a group, too` });
}

function readReference(name: string, place: Place): Reference {
  try {
    return parseReference(name);
  } catch (error) {
    if (!isCellarError(error)) throw error;
    throw configError({ place, problem: error.message, hint: "see 'cellar help names'" });
  }
}
