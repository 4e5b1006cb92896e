/** The files of a configuration, each by itself: checked against the schema, and nothing said twice. */
import { dirname, resolve } from 'node:path';
import { check } from './check.ts';
import { convert, nodeOf, type ConfigFile, type Path, type Substitute } from './document.ts';
import { absoluteDefaults, absoluteImage } from './paths.ts';
import { configError, showPlace, type Complaint, type Place } from './place.ts';
import { fileSettings, type FileSettings, type ImageSettings } from './schema.ts';
import type { Variable } from './variables.ts';

/** One file, checked. */
export interface Part {
  readonly settings: FileSettings;
  readonly place: (path: Path) => Place;
}

/** Throws E_CONFIG when it is told of the same thing twice, with both places. */
export type Once = (what: string, place: Place) => void;

export function onlyOnce(): Once {
  const places = new Map<string, Place>();
  return (what, place) => {
    const first = places.get(what);
    if (first !== undefined)
      throw configError({ place, problem: `${what} is given twice, first at ${showPlace(first)}` });
    places.set(what, place);
  };
}

/** Of all files, as they are written. @throws E_CONFIG */
export function variablesOf(files: readonly ConfigFile[]): ReadonlyMap<string, Variable> {
  const once = onlyOnce();
  const variables = new Map<string, Variable>();
  for (const file of files) {
    const node = nodeOf(file, 'variables');
    if (node === undefined) continue;
    const { value, place } = convert(file, node, (text) => text);
    for (const [name, text] of Object.entries(typeof value === 'object' ? value : {})) {
      once(`variable '${name}'`, place([name]));
      if (typeof text === 'string') variables.set(name, { text, place: place([name]) });
    }
  }
  return variables;
}

/** Relative paths are resolved. @throws E_CONFIG with all that is wrong with any of them */
export function parseAll(files: readonly ConfigFile[], substitute: Substitute): Part[] {
  const complaints: Complaint[] = [];
  const parts = files.flatMap((file): Part[] => {
    const converted = convert(file, file.document.contents, substitute);
    const checked = check(fileSettings, converted);
    if ('complaints' in checked) {
      complaints.push(...checked.complaints);
      return [];
    }
    return [{ settings: absolute(checked.value, dirname(resolve(file.path))), place: converted.place }];
  });
  if (complaints[0] !== undefined) throw configError(complaints[0], complaints.slice(1));
  return parts;
}

function absolute(settings: FileSettings, directory: string): FileSettings {
  const { defaults, images = {} } = settings;
  const entries = Object.entries(images).map(([name, image]) => [name, absoluteImage(image, directory)]);
  return {
    ...settings,
    ...(defaults === undefined ? {} : { defaults: absoluteDefaults(defaults, directory) }),
    images: Object.fromEntries(entries) as Record<string, ImageSettings>,
  };
}

/** The keys of a section, each of which may stand in another file. */
export function assembled<T extends object>(
  parts: readonly Part[],
  section: 'defaults' | 'store' | 'deploy-defaults',
  once: Once,
): T {
  const found = parts.flatMap(({ settings, place }) =>
    Object.entries(settings[section] ?? {}).map(([name, value]) => {
      once(`${section}.${name}`, place([section, name]));
      return [name, value] as const;
    }),
  );
  return Object.fromEntries(found) as T;
}
