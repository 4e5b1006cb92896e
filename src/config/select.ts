/** Which images of a configuration are meant: by reference, by group, or by a pattern in which `*` is any text. */
import { CellarError } from '../core/errors.ts';
import { nearestReference } from '../core/nearest.ts';
import type { Reference } from '../core/reference.ts';
import type { LoadedConfig } from './load.ts';
import type { ImageEntry } from './images.ts';
import { configPlaces } from './find.ts';

/** All of them where no name is given; each once, in the order of the configuration. @throws E_CONFIG_NONE, E_CONFIG_NAME */
export function selectImages(config: LoadedConfig, names: readonly string[]): readonly ImageEntry[] {
  const [file] = config.files;
  if (file === undefined)
    throw new CellarError('E_CONFIG_NONE', { details: { places: configPlaces.join(' nor ') } });
  if (names.length === 0) return config.images;
  const wanted = new Set(names.flatMap((name) => named(config, name, file)));
  return config.images.filter(({ reference }) => wanted.has(reference));
}

/** Does a name or pattern mean a reference? The tag `latest` may be left out. */
export function matcher(name: string): (reference: Reference) => boolean {
  const parts = name.split('*').map((part) => RegExp.escape(part));
  const expression = new RegExp(`^${parts.join('.*')}(?::latest)?$`);
  return (reference) => expression.test(reference);
}

function named(config: LoadedConfig, name: string, file: string): readonly Reference[] {
  const group = config.groups.get(name);
  if (group !== undefined) return group;
  const references = config.images.map(({ reference }) => reference);
  const found = references.filter(matcher(name));
  if (found.length > 0) return found;
  const known = [
    ...references.map((reference) => reference.replace(/:latest$/, '')),
    ...config.groups.keys(),
  ];
  const near = nearestReference(name, known);
  throw new CellarError('E_CONFIG_NAME', {
    details: { file, name },
    hint: near === undefined ? hintOfAll(known) : `did you mean '${near}'?`,
  });
}

function hintOfAll(known: readonly string[]): string {
  if (known.length === 0) return "it names none; 'cellar add NAME SOURCE' adds one";
  const shown = known.slice(0, 12).join(', ');
  return `it has ${shown}${known.length > 12 ? ` and ${known.length - 12} more` : ''}`;
}
