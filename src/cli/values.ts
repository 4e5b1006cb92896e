/** Options with a syntax of their own, shared by verbs. */
import { parseDigest, type Digest } from '../core/digest.ts';
import { parseMode, parseOwner, type Owner } from '../core/ownership.ts';
import { parseBytes, parseCount, parseDuration, parsePositive } from '../core/quantity.ts';
import { parsed, text, type OptionSpec } from './spec.ts';
import { usage } from './usage.ts';

export function bytes(summary: string): OptionSpec<number | undefined> {
  return parsed('SIZE', summary, { parse: parseBytes, wanted: 'a size such as 500M or 10G' });
}

export function number(value: string, summary: string): OptionSpec<number | undefined> {
  return parsed(value, summary, { parse: parseCount, wanted: 'a whole number' });
}

export function positive(value: string, summary: string): OptionSpec<number | undefined> {
  return parsed(value, summary, { parse: parsePositive, wanted: 'a whole number of at least 1' });
}

export function duration(summary: string): OptionSpec<number | undefined> {
  return parsed('TIME', summary, { parse: parseDuration, wanted: 'a time such as 30m, 12h or 7d' });
}

export function digest(summary: string): OptionSpec<Digest | undefined> {
  return parsed('DIGEST', summary, { parse: parseDigest, wanted: 'a SHA-256 of 64 hex digits' });
}

export function labels(): OptionSpec<Readonly<Record<string, string>>> {
  return {
    value: 'KEY=VALUE',
    summary: 'Note something about the image; may be given several times',
    repeatable: true,
    completes: 'none',
    parse: (texts, flag) => Object.fromEntries(texts.map((text) => splitLabel(text, flag))),
  };
}

function splitLabel(text: string, flag: string): [string, string] {
  const match = /^([A-Za-z0-9][A-Za-z0-9._/-]*)=(.*)$/s.exec(text);
  if (match === null) throw usage(`${flag} is '${text}', which is not key=value`);
  return [match[1]!, match[2]!];
}

/** `METHOD` or `METHOD:PLACE`; what follows the colon is the method's own. */
export function checkoutMethod(
  summary = `How to make the tree visible, by default auto: ${methods.join(', ')}`,
): OptionSpec<string | undefined> {
  return { ...text('NAME', summary), choices: methods };
}

/** In the order in which they are tried, and in which an unknown one is told of them. */
const methods = [
  ...['auto', 'composefs', 'btrfs', 'reflink', 'overlay', 'fuse-overlayfs', 'hardlink', 'copy'],
  ...['lvm', 'zfs'],
];

/** Permission bits, `0755`. */
export function octal(summary: string): OptionSpec<number | undefined> {
  return parsed('MODE', summary, { parse: parseMode, wanted: 'octal permission bits such as 0755' });
}

/** `UID:GID`. */
export function ownerOption(): OptionSpec<Owner | undefined> {
  return parsed('UID:GID', 'Owner of the file or the top directory', {
    parse: parseOwner,
    wanted: 'two numbers such as 0:0',
  });
}

export function settings(): OptionSpec<Readonly<Record<string, string>>> {
  return { ...labels(), summary: 'A parameter of the deployment; may be given several times' };
}
