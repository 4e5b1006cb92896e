/**
 * Lists of SHA-256 sums as publishers write them: GNU lines (`HEX  name`, `HEX *name`, escaped with `\`), BSD lines
 * (`SHA256 (name) = HEX`), or one bare sum. What is none of these is an error page or the wrong file, so it is refused
 * rather than passed over.
 */
import type { Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';

export interface Sum {
  /** As it is listed, without `./` before it; a bare sum has none. */
  readonly name?: string;
  readonly sha256: Digest;
}

const gnuLine = /^(\\?)([0-9a-f]{64}) [ *](.+)$/i;
const bsdLine = /^(\\?)SHA(?:2-)?256 ?\((.+)\) ?= ?([0-9a-f]{64})$/i;
const bareLine = /^[0-9a-f]{64}$/i;
/** Remarks, and sums of other kinds beside ours. */
const passedOver = /^\s*(?:#.*)?$|^\\?[A-Z][A-Z0-9/-]* ?\(.+\) ?= ?[0-9a-f]{8,128}$/i;

/** `source` is the URL or path of the list, for messages. @throws E_CHECKSUM_FORMAT */
export function parseChecksums(text: string, source: string): Sum[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const sums = lines.flatMap((line, index) => {
    const sum = parseLine(line);
    if (sum !== undefined) return [sum];
    if (passedOver.test(line)) return [];
    throw malformed(source, `line ${index + 1} is ${JSON.stringify(line.slice(0, 60))}`);
  });
  if (sums.length === 0) throw malformed(source, 'there is no sum in it');
  if (sums.length > 1 && sums.some(({ name }) => name === undefined))
    throw malformed(source, 'a sum without a name stands among others');
  return sums;
}

export interface Wanted {
  /** Spellings of one name, such as the URL's last component as it stands and decoded. */
  readonly names: readonly string[];
  /** The list is for this file alone, so a bare sum, or a path that ends in the name, means it. */
  readonly own: boolean;
  readonly source: string;
}

/** Names are compared whole: `old/x.tar` is not `x.tar`. @throws E_CHECKSUM_NAME, E_CHECKSUM_FORMAT */
export function digestOf(sums: readonly Sum[], { names, own, source }: Wanted): Digest {
  const [only] = sums;
  if (own && sums.length === 1 && (only!.name === undefined || names.includes(baseName(only!.name))))
    return only!.sha256;
  const digests = new Set(
    sums.flatMap(({ name, sha256 }) => (name !== undefined && names.includes(name) ? [sha256] : [])),
  );
  const [digest] = digests;
  if (digests.size > 1) throw malformed(source, `it lists ${names[0]} with ${digests.size} different sums`);
  if (digest === undefined) throw missing(sums, names[0]!, source);
  return digest;
}

function parseLine(line: string): Sum | undefined {
  const [, gnuEscape, gnuSum, gnuName] = gnuLine.exec(line) ?? [];
  if (gnuName !== undefined) return named(gnuName, gnuSum!, gnuEscape !== '');
  const [, bsdEscape, bsdName, bsdSum] = bsdLine.exec(line) ?? [];
  if (bsdName !== undefined) return named(bsdName, bsdSum!, bsdEscape !== '');
  return bareLine.test(line.trim()) ? { sha256: line.trim().toLowerCase() } : undefined;
}

function named(name: string, sum: string, escaped: boolean): Sum {
  const plain = escaped ? name.replace(/\\([\\nr])/g, (_, char: string) => unescaped[char]!) : name;
  return { name: plain.replace(/^(?:\.\/+)+/, ''), sha256: sum.toLowerCase() };
}

const unescaped: Readonly<Record<string, string>> = { '\\': '\\', n: '\n', r: '\r' };

function baseName(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}

function malformed(source: string, problem: string): CellarError {
  return new CellarError('E_CHECKSUM_FORMAT', { details: { source, problem } });
}

const namesShown = 8;

function missing(sums: readonly Sum[], name: string, source: string): CellarError {
  const names = sums.map((sum) => sum.name ?? 'a sum without a name');
  const more = names.length > namesShown ? [`${names.length - namesShown} more`] : [];
  const shown = [...names.slice(0, namesShown).map((each) => each.slice(0, 120)), ...more];
  return new CellarError('E_CHECKSUM_NAME', { details: { source, name, names: shown } });
}
