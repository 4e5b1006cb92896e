/**
 * What is wrong with the words of a command line before anybody has read them. Names are bytes, and Node hands words on as
 * text in which bytes that are no UTF-8 have become another character: such a word would name another file.
 */
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { fromBytes, toText } from '../core/bytes.ts';
import type { Parsed } from './arguments.ts';
import { flagName, globalOptions } from './globals.ts';
import type { AnyVerb, Completes, OptionSpec } from './spec.ts';
import { usage } from './usage.ts';

/** @throws E_USAGE for a word that is no UTF-8 */
export function requireText(words: readonly string[]): void {
  if (!words.some((word) => word.includes('\uFFFD'))) return;
  const broken = zeroEnded('cmdline').find((word) => !isUtf8(word));
  if (broken !== undefined)
    throw usage(
      `'${toText(fromBytes(broken))}' is not UTF-8`,
      'go by another name, for instance a symbolic link; what lies below it may have any name',
    );
}

/** The same of a place that the environment names. @throws E_USAGE */
export function requireTextOf(variable: string, value: string | undefined): void {
  if (value?.includes('\uFFFD') !== true) return;
  const prefix = Buffer.from(`${variable}=`);
  const broken = zeroEnded('environ').find((row) => row.indexOf(prefix) === 0 && !isUtf8(row));
  if (broken !== undefined)
    throw usage(
      `${variable}, '${toText(fromBytes(broken.subarray(prefix.length)))}', is not UTF-8`,
      'go by another name, for instance a symbolic link',
    );
}

/** `''` would mean the current directory: what it came from is a variable that was not set. @throws E_USAGE */
export function requireWords(verb: Pick<AnyVerb, 'args' | 'options'>, { args, options }: Parsed): void {
  for (const [at, { name, completes }] of verb.args.entries())
    if (places.has(completes) && [args[at] ?? []].flat().includes('')) throw usage(`${name} is empty`);
  for (const [key, { completes }] of Object.entries<OptionSpec>({ ...globalOptions, ...verb.options }))
    if (places.has(completes) && [options[key] ?? []].flat().includes(''))
      throw usage(`${flagName(key)} is empty`);
}

const places: ReadonlySet<Completes> = new Set([
  ...(['file', 'directory', 'directory-or-target', 'checkout', 'releasable', 'signer'] as const),
]);

/** Each word in its bytes, as proc_pid_cmdline(5) and proc_pid_environ(5) have them. */
function zeroEnded(name: 'cmdline' | 'environ'): Buffer[] {
  const all = readFileSync(`/proc/self/${name}`);
  const words: Buffer[] = [];
  for (let from = 0, end; (end = all.indexOf(0, from)) >= 0; from = end + 1)
    words.push(all.subarray(from, end));
  return words;
}
