/** Where a configuration is looked for. */
import { existsSync } from 'node:fs';

export const configPlaces = ['./cellar.yaml', '/etc/cellar/cellar.yaml'] as const;

/** The one named, else the first that is there. */
export function findConfig(path: string | undefined): string | undefined {
  return path ?? configPlaces.find((place) => existsSync(place))?.replace(/^\.\//, '');
}
