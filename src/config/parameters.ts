/**
 * Parameters of deployments, from what counts least to what counts most: `deploy-defaults`, the deployment, the
 * environment, the command line. Names are compared whole: what is said to `foobar` never reaches `foo`.
 */
import { CellarError } from '../core/errors.ts';
import { nearest } from '../core/nearest.ts';
import { parameterKey } from './deployment-schema.ts';
import { unknownDeployment, type Deployable, type DeploymentEntry } from './deployments.ts';
import type { Environment } from '../core/environment.ts';

export interface Setting {
  readonly name: string;
  readonly key: string;
  readonly value: string;
}

/** What was given to `plan` and `apply`: names, and `NAME.KEY=VALUE`. @throws E_DEPLOYMENT_SETTING */
export function splitWords(words: readonly string[]): {
  readonly names: readonly string[];
  readonly settings: readonly Setting[];
} {
  const settings = words.filter((word) => word.includes('=')).map(readSetting);
  const twice = settings.find((one, at) =>
    settings.slice(0, at).some(({ name, key }) => name === one.name && key === one.key),
  );
  if (twice !== undefined) throw refused(`${twice.name}.${twice.key}`, 'it is given twice');
  return { names: words.filter((word) => !word.includes('=')), settings };
}

export interface Given {
  readonly settings: readonly Setting[];
  readonly env: Environment;
}

/**
 * @param selected the deployments that are meant; a setting for another one would have no effect and is refused
 * @returns for each of them the values of its parameters, by its name
 * @throws E_DEPLOYMENT_NAME, E_DEPLOYMENT_SETTING
 */
export function settleParameters(
  config: Deployable,
  selected: readonly DeploymentEntry[],
  { settings, env }: Given,
): ReadonlyMap<string, Readonly<Record<string, string>>> {
  const all = config.deployments.map(({ name }) => name);
  for (const { name, key } of settings) {
    if (!all.includes(name)) throw unknownDeployment(config.files[0] ?? '', name, all);
    if (!selected.some((entry) => entry.name === name))
      throw refused(`${name}.${key}`, `${name} is not among what is to be deployed`);
  }
  const given = [...fromEnvironment(config.deployments, env), ...settings];
  return new Map(
    selected.map(({ name, parameters }) => [
      name,
      {
        ...parameters,
        ...Object.fromEntries(
          given.filter((setting) => setting.name === name).map(({ key, value }) => [key, value]),
        ),
      },
    ]),
  );
}

const prefix = 'CELLAR_SET_';

/** Parameters that the configuration names; each has one variable, and each variable has to be that of one. */
function fromEnvironment(deployments: readonly DeploymentEntry[], env: Environment): Setting[] {
  const known = deployments.flatMap(({ name, parameters }) =>
    Object.keys(parameters).map((key) => ({ name, key, variable: variableOf(name, key) })),
  );
  const variables = Object.keys(env).filter((variable) => variable.startsWith(prefix));
  return variables.toSorted().map((variable) => {
    const [meant, ...others] = known.filter((one) => one.variable === variable);
    if (meant === undefined) {
      const near = nearest(
        variable,
        known.map((one) => one.variable),
      );
      throw refused(
        `$${variable}`,
        'the configuration has no deployment with such a parameter',
        near === undefined ? undefined : `did you mean ${near}?`,
      );
    }
    if (others.length > 0)
      throw refused(
        `$${variable}`,
        `it may mean ${[meant, ...others].map(({ name, key }) => `${name}.${key}`).join(' or ')}`,
        'say which as NAME.KEY=VALUE',
      );
    return { name: meant.name, key: meant.key, value: env[variable] ?? '' };
  });
}

/** `web-1`, `machine-id` → `CELLAR_SET_WEB_1_MACHINE_ID`: shells can set no other names. */
function variableOf(name: string, key: string): string {
  return prefix + `${name}_${key}`.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_');
}

function readSetting(word: string): Setting {
  const equals = word.indexOf('=');
  const dot = word.indexOf('.');
  const place = word.slice(0, equals);
  const key = place.slice(dot + 1);
  if (dot < 1 || dot > equals || !parameterKey.test(key))
    throw refused(place, 'a parameter is given as NAME.KEY=VALUE');
  return { name: place.slice(0, dot), key, value: word.slice(equals + 1) };
}

/** Values stay out of it; they may be secrets. */
function refused(where: string, problem: string, hint?: string): CellarError {
  return new CellarError('E_DEPLOYMENT_SETTING', {
    details: { where, problem },
    ...(hint === undefined ? {} : { hint }),
  });
}
