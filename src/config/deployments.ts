/** The deployments of a configuration with what goes for each, and which of them are meant by a name. */
import { normalize } from 'node:path';
import { CellarError } from '../core/errors.ts';
import { nearest } from '../core/nearest.ts';
import type { DeployDefaultSettings, DeploymentSettings } from './deployment-schema.ts';
import type { Path } from './document.ts';
import { configError, showPlace, type Place } from './place.ts';
import { configPlaces } from './find.ts';

export interface DeploymentEntry {
  readonly name: string;
  /** A reference, with or without history, or a digest. */
  readonly image: string;
  /** `kind:rest`; what kinds there are is not known here. */
  readonly target: string;
  readonly groups: readonly string[];
  readonly writable?: boolean | undefined;
  readonly method?: string | undefined;
  /** Bytes. */
  readonly quota?: number | undefined;
  /** Earlier versions. */
  readonly keep?: number | undefined;
  readonly onChange?: string | undefined;
  readonly check?: string | undefined;
  readonly stop?: string | undefined;
  readonly start?: string | undefined;
  readonly mode?: number | undefined;
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  readonly base?: boolean | undefined;
  readonly level?: number | undefined;
  readonly record?: string | undefined;
  readonly nested?: readonly NestedEntry[];
  /** Its own over those of the defaults. */
  readonly parameters: Readonly<Record<string, string>>;
  /** `file:line:column` of each image that it names, by its name, for messages. */
  readonly imagePlaces: ReadonlyMap<string, string>;
}

/** Delivered with its parent, in its tree; no target of its own. */
export interface NestedEntry {
  readonly name: string;
  readonly reference: string;
  readonly path: string;
}

export interface WrittenDeployment {
  readonly name: string;
  readonly settings: DeploymentSettings;
  readonly place: Place;
  /** Within its settings. */
  readonly placeOf: (path: Path) => Place;
}

/** As the target itself will be called, however its path is spelled: two deployments to one place replace each other for ever. */
export function canonical(target: string): string {
  const colon = target.indexOf(':') + 1;
  const rest = target.slice(colon);
  return rest.startsWith('/') ? target.slice(0, colon) + normalize(rest).replace(/(?!^)\/+$/, '') : target;
}

/** @throws E_CONFIG where a group has the name of a deployment */
export function makeDeployments(
  written: readonly WrittenDeployment[],
  defaults: DeployDefaultSettings,
): DeploymentEntry[] {
  const groups = new Set(written.flatMap(({ settings }) => settings.groups ?? []));
  return written.map(({ name, settings, place, placeOf }) => {
    if (groups.has(name)) throw configError({ place, problem: `'${name}' is the name of a group, too` });
    const {
      image,
      target,
      groups: own = [],
      'on-change': onChange,
      nested = {},
      ...rest
    } = { ...defaults, ...settings };
    const inside = Object.entries(nested).map(([inner, { image: reference, path }]) => ({
      ...{ name: inner, reference, path },
    }));
    const taken = inside.find(
      (one) => written.some((other) => other.name === one.name) || groups.has(one.name),
    );
    if (taken !== undefined)
      throw configError({
        place,
        problem: `'${taken.name}' is the name of another deployment or group, too`,
      });
    return {
      ...rest,
      ...{ name, image, target, groups: own, onChange },
      ...(inside.length === 0 ? {} : { nested: inside }),
      parameters: { ...defaults.parameters, ...settings.parameters },
      imagePlaces: new Map([
        ...inside.map((one) => [one.reference, showPlace(placeOf(['nested', one.name, 'image']))] as const),
        [image, showPlace(placeOf(['image']))],
      ]),
    };
  });
}

export interface Deployable {
  readonly files: readonly string[];
  readonly deployments: readonly DeploymentEntry[];
}

/**
 * By name, by group, or by a pattern in which `*` is any text; all of them where nothing is named. Each once, in the
 * order of the configuration.
 * @throws E_CONFIG_NONE, E_DEPLOYMENT_NAME
 */
export function selectDeployments(
  { files, deployments }: Deployable,
  names: readonly string[],
): readonly DeploymentEntry[] {
  const [file] = files;
  if (file === undefined)
    throw new CellarError('E_CONFIG_NONE', { details: { places: configPlaces.join(' nor ') } });
  if (names.length === 0) return deployments;
  const wanted = new Set(names.flatMap((name) => named(deployments, name, file)));
  return deployments.filter((entry) => wanted.has(entry));
}

function named(
  deployments: readonly DeploymentEntry[],
  name: string,
  file: string,
): readonly DeploymentEntry[] {
  const parts = name.split('*').map((part) => RegExp.escape(part));
  const expression = new RegExp(`^${parts.join('.*')}$`);
  const found = deployments.filter((entry) => expression.test(entry.name) || entry.groups.includes(name));
  if (found.length > 0) return found;
  const parent = deployments.find(
    (entry) => entry.nested?.some((inner) => isNamed(entry, inner, name)) === true,
  );
  if (parent !== undefined)
    throw new CellarError('E_DEPLOYMENT_NESTED', {
      details: { file, name, parent: parent.name },
      hint: `'cellar apply ${parent.name}' delivers both`,
    });
  const known = [...new Set(deployments.flatMap((entry) => [entry.name, ...entry.groups]))];
  throw unknownDeployment(file, name, known);
}

function isNamed(parent: DeploymentEntry, { name }: NestedEntry, wanted: string): boolean {
  return wanted === name || wanted === `${parent.name}.${name}`;
}

export function unknownDeployment(file: string, name: string, known: readonly string[]): CellarError {
  const near = nearest(name, known);
  const list = known.length === 0 ? 'it has none' : `it has ${known.slice(0, 12).join(', ')}`;
  return new CellarError('E_DEPLOYMENT_NAME', {
    details: { file, name },
    hint: near === undefined ? list : `did you mean '${near}'?`,
  });
}
