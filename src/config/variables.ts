/** `${name}` in the values of a configuration, `${env:NAME}` from the environment, and `$${` for a `${` that stays. */
import type { Environment } from '../core/environment.ts';
import { nearest } from '../core/nearest.ts';
import type { Substitute } from './document.ts';
import { configError, type Place } from './place.ts';

export interface Variable {
  readonly text: string;
  readonly place: Place;
}

export const variableName = /^[A-Za-z_][A-Za-z0-9_-]*$/;

const places = /\$(\$\{)|\$\{([^}]*)(\}?)/g;

/** Variables may be made of others. @throws E_CONFIG from the function that is returned */
export function substitution(variables: ReadonlyMap<string, Variable>, env: Environment): Substitute {
  const resolve = (name: string, place: Place, within: readonly string[]): string => {
    const variable = variables.get(name);
    if (variable === undefined) throw unknown(name, place, [...variables.keys()]);
    if (within.includes(name))
      throw configError({
        place: variable.place,
        problem: `variable '${name}' is made of itself (${[...within, name].join(' → ')})`,
      });
    return fill(variable.text, variable.place, [...within, name]);
  };
  const fill = (text: string, place: Place, within: readonly string[]): string =>
    text.replace(places, (whole, literal: string | undefined, name: string | undefined, end: string) => {
      if (literal !== undefined) return literal;
      if (end === '')
        throw configError({ place, problem: `'${whole}' lacks its closing brace`, hint: literally });
      const [, fromEnvironment] = /^env:([A-Za-z_][A-Za-z0-9_]*)$/.exec(name!) ?? [];
      if (fromEnvironment !== undefined) return environment(fromEnvironment, place, env);
      if (variableName.test(name!)) return resolve(name!, place, within);
      throw configError({ place, problem: `'${whole}' is no variable`, hint: literally });
    });
  return (text, place) => {
    refusePassword(text, place);
    return fill(text, place, []);
  };
}

/** A text that stands for itself. */
export function literal(text: string): string {
  return text.replaceAll('${', () => '$${');
}

const literally = "write ${name}, ${env:NAME}, or $${ where '${' itself is meant";

function environment(name: string, place: Place, env: Environment): string {
  const value = env[name];
  if (value === undefined)
    throw configError({ place, problem: `the environment has no ${name}`, hint: `set ${name}` });
  return value;
}

/** A configuration is copied, committed and sent around; what is secret stays out of it. */
function refusePassword(text: string, place: Place): void {
  const [, password] = /^(?:[a-z]+:)?[a-z][a-z0-9+.-]*:\/\/[^\s/:@]*:([^\s/@]+)@/i.exec(text) ?? [];
  if (password === undefined || /^\$\{env:[A-Za-z0-9_]+\}$/.test(password)) return;
  throw configError({
    place,
    problem: 'a URL with a password in it does not belong in a configuration',
    hint: 'write credentials: {username: …, password-file: …}, or ${env:NAME} in its place',
  });
}

function unknown(name: string, place: Place, known: readonly string[]): Error {
  const near = nearest(name, known);
  const list = known.length === 0 ? 'none is defined' : `defined are ${known.join(', ')}`;
  return configError({
    place,
    problem: `there is no variable '${name}'`,
    hint: near === undefined ? `${list}; define it under variables:` : `did you mean \${${near}}?`,
  });
}
