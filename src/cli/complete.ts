/**
 * What could stand at the end of a command line. Files and directories are left to the shell, which knows them
 * better: it is told so by the words `:file` and `:directory`.
 */
import { splitVerb } from './arguments.ts';
import { flagName, globalOptions } from './globals.ts';
import type { AnyVerb, Completes, OptionSpec } from './spec.ts';
import { topics } from './topics.ts';
import { shells } from './completion-scripts.ts';
import { findVerb, visibleVerbs } from './verb-index.ts';

export interface Candidate {
  readonly value: string;
  readonly summary: string;
}

/** `words` follow `cellar`; the last is the one being typed, maybe empty. */
export async function complete(words: readonly string[], { store }: { store: string }): Promise<Candidate[]> {
  const before = words.slice(0, -1);
  const typed = words.at(-1) ?? '';
  const { verb: name, rest } = splitVerb(before);
  const verb = name === undefined ? undefined : (await findVerb(name)?.load())?.verb;
  const options: Readonly<Record<string, OptionSpec>> = { ...globalOptions, ...verb?.options };
  const root = storeGiven(before) ?? store;
  const pending = awaitingValue(before, options);
  if (pending !== undefined) return matching(typed, await valuesOf(pending, root));
  const assigned = /^(--[a-z-]+)=(.*)$/s.exec(typed);
  if (assigned !== null) return assignedValues(assigned[1]!, assigned[2]!, { options, root });
  if (typed.startsWith('-')) return matching(typed, optionNames(options));
  if (verb === undefined) return name === undefined ? matching(typed, verbNames()) : [];
  return matching(typed, await argumentValues({ name: name!, verb, rest, options, root }));
}

interface Position {
  readonly name: string;
  readonly verb: AnyVerb;
  readonly rest: readonly string[];
  readonly options: Readonly<Record<string, OptionSpec>>;
  readonly root: string;
}

async function argumentValues({ name, verb, rest, options, root }: Position): Promise<Candidate[]> {
  const operands = operandsOf(rest, options);
  if (name === 'help' && operands.length === 0)
    return [...verbNames(), ...topics.map(({ name: value, summary }) => ({ value, summary }))];
  if (name === 'completion' && operands.length === 0) return shells.map((value) => ({ value, summary: '' }));
  const last = verb.args.at(-1);
  const argument = verb.args[operands.length] ?? (last?.variadic === true ? last : undefined);
  return argument === undefined ? [] : await known(argument.completes, root);
}

/** Words that are neither flags nor their values. */
function operandsOf(words: readonly string[], options: Position['options']): string[] {
  return words.filter(
    (word, at) => !word.startsWith('-') && awaitingValue(words.slice(0, at), options) === undefined,
  );
}

/** The option whose value comes next. */
function awaitingValue(words: readonly string[], options: Position['options']): OptionSpec | undefined {
  const last = words.at(-1);
  const found = Object.entries(options).find(([key]) => flagName(key) === last);
  return found?.[1].value === undefined ? undefined : found[1];
}

async function assignedValues(
  flag: string,
  typed: string,
  { options, root }: Pick<Position, 'options' | 'root'>,
): Promise<Candidate[]> {
  const pending = awaitingValue([flag], options);
  if (pending === undefined) return [];
  const values = matching(typed, await valuesOf(pending, root));
  return values.map(({ value, summary }) => ({
    value: value.startsWith(':') ? value : `${flag}=${value}`,
    summary,
  }));
}

async function valuesOf({ choices, completes }: OptionSpec, root: string): Promise<Candidate[]> {
  return choices?.map((value) => ({ value, summary: '' })) ?? (await known(completes, root));
}

async function known(completes: Completes, root: string): Promise<Candidate[]> {
  switch (completes) {
    case 'none':
      return [];
    case 'file':
    case 'directory':
      return [{ value: `:${completes}`, summary: '' }];
    case 'reference':
      return await references(root);
  }
}

/** A store that cannot be read completes to nothing; a Tab is no place for an error. */
async function references(root: string): Promise<Candidate[]> {
  try {
    const { ls } = await import('../ops/ls.ts');
    const context = { storeRoot: root, events: () => undefined, signal: new AbortController().signal };
    const { images } = await ls(context);
    const names = new Set(images.flatMap(({ reference }) => (reference === undefined ? [] : [reference])));
    return [...names].map((value) => ({ value, summary: '' }));
  } catch {
    return [];
  }
}

function storeGiven(words: readonly string[]): string | undefined {
  const at = words.lastIndexOf('--store');
  if (at >= 0) return words[at + 1];
  return words.findLast((word) => word.startsWith('--store='))?.slice('--store='.length);
}

function verbNames(): Candidate[] {
  return visibleVerbs.map(({ name, summary }) => ({ value: name, summary }));
}

function optionNames(options: Position['options']): Candidate[] {
  return Object.entries(options).map(([key, { summary }]) => ({ value: flagName(key), summary }));
}

function matching(typed: string, candidates: readonly Candidate[]): Candidate[] {
  return candidates.filter(({ value }) => value.startsWith(':') || value.startsWith(typed));
}
