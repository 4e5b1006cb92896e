/**
 * From the words of a command line to a verb's typed values. The verb is the first word that is no flag; all flags,
 * global or its own, may stand on either side of it. Commander splits the words; the specification gives them types.
 */
import { Command, CommanderError, Option } from 'commander';
import { nearest } from '../core/nearest.ts';
import { flagName, globalOptions, type Globals } from './globals.ts';
import type { AnyVerb, ArgumentSpec, ArgumentValue, OptionSpec } from './spec.ts';
import { usage } from './usage.ts';

export interface Split {
  /** `undefined` when there are only flags. */
  readonly verb: string | undefined;
  /** Everything else, in order. */
  readonly rest: readonly string[];
}

/** Find the verb without knowing it: only global flags with a value can stand before it. */
export function splitVerb(argv: readonly string[]): Split {
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!;
    if (word === '--') break;
    if (!word.startsWith('-')) return { verb: word, rest: argv.toSpliced(at, 1) };
    if (takesValue.has(word)) at++;
  }
  return { verb: undefined, rest: argv };
}

const takesValue: ReadonlySet<string> = new Set(
  Object.entries<OptionSpec>(globalOptions)
    .filter(([, { value }]) => value !== undefined)
    .map(([key]) => flagName(key)),
);

type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** Words that are neither flags nor their values. */
export function operandsOf(words: readonly string[], options: OptionSpecs): string[] {
  return words.filter(
    (word, at) =>
      (word === '-' || !word.startsWith('-')) && awaitingValue(words.slice(0, at), options) === undefined,
  );
}

/** The option whose value comes next. */
export function awaitingValue(words: readonly string[], options: OptionSpecs): OptionSpec | undefined {
  const last = words.at(-1);
  const found = Object.entries(options).find(([key]) => flagName(key) === last);
  return found?.[1].value === undefined ? undefined : found[1];
}

export interface Parsed {
  readonly globals: Globals;
  readonly args: readonly ArgumentValue[];
  readonly options: Readonly<Record<string, unknown>>;
}

/** @throws E_USAGE */
export function parseArguments(
  name: string,
  verb: Pick<AnyVerb, 'args' | 'options'>,
  words: readonly string[],
): Parsed {
  const all: Readonly<Record<string, OptionSpec>> = { ...globalOptions, ...verb.options };
  const command = new Command(name)
    .helpOption(false)
    .exitOverride()
    .configureOutput({ writeOut() {}, writeErr() {}, outputError() {} })
    .allowExcessArguments(false);
  for (const argument of verb.args) command.argument(shownArgument(argument));
  for (const [key, spec] of Object.entries(all)) command.addOption(commanderOption(key, spec));
  try {
    command.parse(words, { from: 'user' });
  } catch (error) {
    throw translate(error, name, Object.keys(all));
  }
  const given = command.opts<Record<string, readonly string[] | true | undefined>>();
  const values = Object.fromEntries(
    Object.entries(all).map(([key, spec]) => {
      const texts = given[key];
      return [key, spec.parse(texts === true ? [''] : (texts ?? []), flagName(key))];
    }),
  );
  const args = verb.args.map(({ variadic }, at) =>
    variadic === true ? command.args.slice(at) : command.args[at],
  );
  return { globals: values as unknown as Globals, args, options: values };
}

/** As usage lines write it: `<REF>`, `[DIR]`, `[NAME...]`. */
function shownArgument({ name, required, variadic }: ArgumentSpec): string {
  const word = variadic === true ? `${name}...` : name;
  return required ? `<${word}>` : `[${word}]`;
}

/** Values are collected as texts; `--no-color` is a flag of that name, not the opposite of another. */
function commanderOption(key: string, spec: OptionSpec): Option {
  const short = spec.short === undefined ? '' : `-${spec.short}, `;
  const option = new Option(
    `${short}${flagName(key)}${spec.value === undefined ? '' : ` <${spec.value}>`}`,
    spec.summary,
  );
  option.negate = false;
  option.attributeName = () => key;
  if (spec.value !== undefined)
    option.argParser<string[]>((text, previous) => [...((previous as string[] | undefined) ?? []), text]);
  return option;
}

function translate(error: unknown, name: string, keys: readonly string[]): unknown {
  if (!(error instanceof CommanderError)) return error;
  const [first = ''] = error.message.replace(/^error: /, '').split('\n');
  const unknown = /^unknown option '([^']*)'/.exec(first)?.[1];
  const near = unknown === undefined ? undefined : nearest(unknown.split('=')[0]!, keys.map(flagName));
  const manual = `'cellar ${name === 'help' ? 'help' : `${name} --help`}' shows how it is used`;
  return usage(first.replace(/\.$/, ''), near === undefined ? manual : `did you mean ${near}? ${manual}`);
}
