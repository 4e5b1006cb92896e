/**
 * What could stand at the end of a command line. Files and directories are left to the shell, which knows them
 * better: it is told so by the words `:file` and `:directory`.
 */
import { awaitingValue, operandsOf, splitVerb } from './arguments.ts';
import { flagName, globalOptions } from './globals.ts';
import { knownValues, type Candidate, type Places } from './known-values.ts';
import type { AnyVerb, OptionSpec } from './spec.ts';
import { topics } from './topics.ts';
import { findVerb, visibleVerbs } from './verb-index.ts';

/** `words` follow `cellar`; the last is the one being typed, maybe empty. */
export async function complete(words: readonly string[], { store }: { store: string }): Promise<Candidate[]> {
  const before = words.slice(0, -1);
  const typed = words.at(-1) ?? '';
  const { verb: name, rest } = splitVerb(before);
  const verb = name === undefined ? undefined : (await findVerb(name)?.load())?.verb;
  const options: Readonly<Record<string, OptionSpec>> = { ...globalOptions, ...verb?.options };
  const places = { store: given(before, '--store') ?? store, config: given(before, '--config') };
  const pending = awaitingValue(before, options);
  if (pending !== undefined) return matching(typed, await valuesOf(pending, typed, places));
  const assigned = /^(--[a-z-]+)=(.*)$/s.exec(typed);
  if (assigned !== null) return assignedValues(assigned[1]!, assigned[2]!, { options, places });
  if (typed.startsWith('-')) return matching(typed, optionNames(options));
  if (verb === undefined) return name === undefined ? matching(typed, verbNames()) : [];
  return matching(typed, await argumentValues({ name: name!, verb, rest, options, typed, places }));
}

interface Position {
  readonly name: string;
  readonly verb: AnyVerb;
  readonly rest: readonly string[];
  readonly options: Readonly<Record<string, OptionSpec>>;
  readonly typed: string;
  readonly places: Places;
}

async function argumentValues(position: Position): Promise<readonly Candidate[]> {
  const { name, verb, rest, options, typed, places } = position;
  const operands = operandsOf(rest, options);
  if (name === 'help' && operands.length === 0)
    return [...verbNames(), ...topics.map(({ name: value, summary }) => ({ value, summary }))];
  const last = verb.args.at(-1);
  const argument = verb.args[operands.length] ?? (last?.variadic === true ? last : undefined);
  if (argument === undefined) return [];
  const completes = argument.completesAfter?.[String(operands.at(-1))] ?? argument.completes;
  return await valuesOf({ ...argument, completes }, typed, { ...places, before: operands.at(-1) });
}

async function assignedValues(
  flag: string,
  typed: string,
  { options, places }: Pick<Position, 'options' | 'places'>,
): Promise<Candidate[]> {
  const pending = awaitingValue([flag], options);
  if (pending === undefined) return [];
  const values = matching(typed, await valuesOf(pending, typed, places));
  return values.map(({ value, summary }) => ({
    value: value.startsWith(':') ? value : `${flag}=${value}`,
    summary,
  }));
}

async function valuesOf(
  { choices, completes }: Pick<OptionSpec, 'choices' | 'completes'>,
  typed: string,
  places: Places,
): Promise<readonly Candidate[]> {
  return choices?.map((value) => ({ value, summary: '' })) ?? (await knownValues(completes, typed, places));
}

/** The value of an option of every verb that stands somewhere before. */
function given(words: readonly string[], flag: string): string | undefined {
  const at = words.lastIndexOf(flag);
  if (at >= 0) return words[at + 1];
  return words.findLast((word) => word.startsWith(`${flag}=`))?.slice(flag.length + 1);
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
