/**
 * Which paths `--exclude` leaves out: the globs people know from tar(1), compiled to one regular expression.
 * Paths are bytes and patterns are text, so `?` and `[…]` match a whole UTF-8 character where there is one.
 *
 *   `*` `?` `[a-z]` `[!a]`  within one component     `**`  across components     `\x`  x itself
 *   leading `/`  anchors at the tree's root; without it a pattern may begin at any component
 *   what matches a directory leaves out everything below it
 */
import { fromText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';

/**
 * A test for absolute paths within a tree (`/var/cache/apt`). The root itself is never excluded. Besides the syntax
 * above: `[[:digit:]]` and its kin, `./` at the beginning means `/`, a `/` at the end is ignored, `a/**` matches all
 * below `a` but not `a`, and `a/**\/b` also matches `a/b`.
 * @throws E_USAGE for a pattern that is empty or would match everything by mistake (`/`)
 */
export function compileExcludes(patterns: readonly string[]): (path: ByteString) => boolean {
  if (patterns.length === 0) return () => false;
  const all = new RegExp(`^(?:${patterns.map(patternSource).join('|')})(?:/|$)`, 's');
  return (path) => path !== '/' && all.test(path);
}

function patternSource(text: string): string {
  const pattern = text.replace(/^\.\//, '/').replace(/(?<=[^\\])\/+$/, '');
  if (pattern === '' || pattern === '/') throw invalid(text, 'it names nothing below the root');
  const anchored = pattern.startsWith('/');
  const glob = anchored ? pattern.replace(/^\/+/, '') : pattern;
  return `${anchored ? '/' : '(?:/|/.*/)'}${globSource(text, glob)}`;
}

function globSource(pattern: string, glob: string): string {
  let source = '';
  let at = 0;
  while (at < glob.length) {
    const rest = glob.slice(at);
    const bracket = rest.startsWith('[') ? bracketSource(pattern, rest) : undefined;
    const [taken, piece] = bracket ?? simpleSource(rest, at === 0 || glob[at - 1] === '/');
    source += piece;
    at += taken;
  }
  return source;
}

/** Characters consumed, and the expression for them. */
type Piece = readonly [taken: number, source: string];

/** One character of a name: a UTF-8 sequence, or one byte that is part of none. */
const anyCharacter = '(?:[^/\\x80-\\xff]|[\\xc0-\\xff][\\x80-\\xbf]*|[\\x80-\\xbf])';

function simpleSource(rest: string, atComponentStart: boolean): Piece {
  if (atComponentStart && rest.startsWith('**/')) return [3, '(?:.*/)?'];
  if (rest.startsWith('**')) return [2, rest.length === 2 && atComponentStart ? '.+' : '.*'];
  if (rest.startsWith('*')) return [1, '[^/]*'];
  if (rest.startsWith('?')) return [1, anyCharacter];
  const escaped = rest.startsWith('\\') && rest.length > 1;
  const character = String.fromCodePoint(rest.codePointAt(escaped ? 1 : 0)!);
  return [character.length + (escaped ? 1 : 0), literal(character)];
}

/** A bracket expression (glob(7)); `undefined` when it is not closed and `[` stands for itself. */
function bracketSource(pattern: string, rest: string): Piece | undefined {
  const match = /^\[([!^]?)(\]?(?:\[:\w+:\]|\\.|[^\]\\])*)\]/su.exec(rest);
  if (match === null) return undefined;
  const [whole, negation, body = ''] = match;
  const members = Array.from(
    body.matchAll(/\[:(\w+):\]|(\\.|[^\\])-(\\.|[^\\])|\\.|[^\\]/gsu),
    ([text, name, from, to]) => {
      if (name !== undefined) return characterClass(pattern, name);
      if (from === undefined || to === undefined) return literal(unescape(text));
      return range(pattern, unescape(from), unescape(to));
    },
  );
  const set = `(?:${members.join('|')})`;
  return [whole.length, negation === '' ? `(?!/)${set}` : `(?!${set})${anyCharacter}`];
}

function characterClass(pattern: string, name: string): string {
  const members = characterClasses[name];
  if (members === undefined) throw invalid(pattern, `[:${name}:] is no character class`);
  return `[${members}]`;
}

const characterClasses: Readonly<Record<string, string>> = {
  alnum: 'A-Za-z0-9',
  alpha: 'A-Za-z',
  blank: ' \\t',
  cntrl: '\\x00-\\x1f\\x7f',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-/:-@[-`{-~',
  space: '\\s',
  upper: 'A-Z',
  xdigit: '0-9A-Fa-f',
};

function range(pattern: string, from: string, to: string): string {
  if (from > '\x7f' || to > '\x7f') throw invalid(pattern, 'ranges are of ASCII characters');
  if (from > to) throw invalid(pattern, `the range ${from}-${to} is empty`);
  return `[${literal(from)}-${literal(to)}]`;
}

function literal(character: string): string {
  return Array.from(
    fromText(character),
    (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`,
  ).join('');
}

function unescape(text: string): string {
  return text.length > 1 && text.startsWith('\\') ? text.slice(1) : text;
}

function invalid(pattern: string, problem: string): CellarError {
  return new CellarError('E_USAGE', { details: { problem: `--exclude '${pattern}': ${problem}` } });
}
