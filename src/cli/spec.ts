/**
 * How a verb describes itself. From this one description come parsing, help, completion and the reference page,
 * and the types of the values its `run` gets.
 */
import type { Context } from '../ops/context.ts';
import type { Outcome } from './outcome.ts';
import { usage } from './usage.ts';

/** What the shell offers for a value. */
export type Completes =
  | 'none'
  | 'file'
  | 'directory'
  | 'reference'
  /** One of them or what is deployed; a directory or that. */
  | 'reference-or-target'
  | 'directory-or-target'
  /** A directory that is a checkout of the store; and one that no deployment keeps. */
  | 'checkout'
  | 'releasable'
  /** Where something can be deployed, and where something is. */
  | 'target'
  | 'deployed'
  /** A version of the target that stands before it. */
  | 'version'
  /** An OpenPGP key of the store; one that signs, or a file with one. */
  | 'key'
  | 'signer'
  /** A name or group of the configuration. */
  | 'image'
  | 'deployment';

export interface ArgumentSpec<Required extends boolean = boolean> {
  readonly name: string;
  readonly summary: string;
  readonly required: Required;
  readonly completes: Completes;
  /** Where that depends on the word before it. */
  readonly completesAfter?: Readonly<Record<string, Completes>>;
  readonly choices?: readonly string[];
  /** Takes all words that are left; the last argument only. */
  readonly variadic?: true;
}

export interface OptionSpec<T = unknown> {
  /** One letter: `n` for `-n`. */
  readonly short?: string;
  /** Placeholder of the value; absent for a switch. */
  readonly value?: string;
  readonly summary: string;
  readonly choices?: readonly string[];
  readonly repeatable: boolean;
  readonly completes: Completes;
  /** From the texts given (one, or several where repeatable); none when the option was left out. */
  readonly parse: (texts: readonly string[], flag: string) => T;
}

export interface Example {
  readonly command: string;
  readonly does: string;
}

export type ArgumentValue = string | readonly string[] | undefined;

type Arguments = readonly ArgumentSpec[];
type Options = Readonly<Record<string, OptionSpec>>;

type ArgumentValues<A extends Arguments> = {
  readonly [I in keyof A]: A[I] extends { readonly variadic: true }
    ? readonly string[]
    : A[I] extends ArgumentSpec<true>
      ? string
      : string | undefined;
};

type OptionValues<O extends Options> = {
  readonly [K in keyof O]: O[K] extends OptionSpec<infer T> ? T : never;
};

export interface Invocation<A extends Arguments, O extends Options> {
  readonly args: ArgumentValues<A>;
  readonly options: OptionValues<O>;
  readonly context: Context;
}

export interface Verb<A extends Arguments = Arguments, O extends Options = Options> {
  /** Paragraphs, each one line; what the summary leaves open. */
  readonly description: readonly string[];
  readonly args: A;
  /** Keys are camelCase names of the flags: `dryRun` is `--dry-run`. */
  readonly options: O;
  readonly examples: readonly [Example, ...Example[]];
  readonly run: (invocation: Invocation<A, O>) => Promise<Outcome>;
  /** Standard output carries the data itself, so JSON lines go to standard error. */
  readonly streams?: (args: readonly ArgumentValue[]) => boolean;
  /** The file that --config names need not be there yet. */
  readonly makesConfig?: true;
}

/** A verb with its types forgotten, as all of the machinery sees it. */
export type AnyVerb = Omit<Verb, 'run'> & {
  readonly run: (invocation: {
    readonly args: readonly ArgumentValue[];
    readonly options: Readonly<Record<string, unknown>>;
    readonly context: Context;
  }) => Promise<Outcome>;
};

/** Infers the types of a verb's values from what it declares. */
export function defineVerb<const A extends Arguments, const O extends Options>(verb: Verb<A, O>): AnyVerb {
  return verb as unknown as AnyVerb;
}

export function required(name: string, summary: string, completes: Completes = 'none'): ArgumentSpec<true> {
  return { name, summary, required: true, completes };
}

export function optional(name: string, summary: string, completes: Completes = 'none'): ArgumentSpec<false> {
  return { name, summary, required: false, completes };
}

/** All words that are left; at least one where it is required. */
export function variadic<const Required extends boolean = false>(
  name: string,
  summary: string,
  options: { required?: Required; completes?: Completes } = {},
): ArgumentSpec<Required> & { readonly variadic: true } {
  const { required: isRequired = false as Required, completes = 'reference' } = options;
  return { name, summary, required: isRequired, completes, variadic: true };
}

export function toggle(summary: string, short?: string): OptionSpec<boolean> {
  const letter = short === undefined ? {} : { short };
  return { ...letter, summary, repeatable: false, completes: 'none', parse: (texts) => texts.length > 0 };
}

export function text(
  value: string,
  summary: string,
  completes: Completes = 'none',
): OptionSpec<string | undefined> {
  return { value, summary, repeatable: false, completes, parse: (texts) => texts.at(-1) };
}

export function list(
  value: string,
  summary: string,
  completes: Completes = 'none',
): OptionSpec<readonly string[]> {
  return { value, summary, repeatable: true, completes, parse: (texts) => texts };
}

export function choice<const C extends string>(
  choices: readonly C[],
  summary: string,
): OptionSpec<C | undefined> {
  const all = choices.join('|');
  const isLong = all.length > 40;
  return {
    value: isLong ? 'NAME' : all,
    summary: isLong ? `${summary}: ${choices.join(', ')}` : summary,
    choices,
    repeatable: false,
    completes: 'none',
    parse(texts, flag) {
      const given = texts.at(-1);
      const known = choices.find((name) => name === given);
      if (given !== undefined && known === undefined)
        throw usage(`${flag} is '${given}'`, `choose one of ${choices.join(', ')}`);
      return known;
    },
  };
}

/** A value with a syntax of its own; `parse` returns `undefined` for what it does not understand. */
export function parsed<T>(
  value: string,
  summary: string,
  { parse, wanted }: { parse: (text: string) => T | undefined; wanted: string },
): OptionSpec<T | undefined> {
  return {
    value,
    summary,
    repeatable: false,
    completes: 'none',
    parse(texts, flag) {
      const given = texts.at(-1);
      if (given === undefined) return undefined;
      const result = parse(given);
      if (result === undefined) throw usage(`${flag} is '${given}', which is not ${wanted}`);
      return result;
    },
  };
}
