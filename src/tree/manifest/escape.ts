/**
 * Escapes of composefs-dump(5): a manifest is printable ASCII whatever bytes the names hold. One form is
 * canonical, because the text is hashed: `\\ \n \r \t` for those four, `\xNN` in lower case for everything
 * else that is not a visible ASCII character (0x21 … 0x7e), and for `=` in xattr names and values.
 */
import type { ByteString } from '../../core/bytes.ts';

const standard: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };
const escapes = Array.from({ length: 256 }, (_, code) => {
  return standard[String.fromCharCode(code)] ?? hex(code);
});
const special = /[^!-[\]-~]/;
const everySpecial = /[^!-[\]-~]/g;
const xattrSpecial = /[^!-<>-[\]-~]/;
const everyXattrSpecial = /[^!-<>-[\]-~]/g;

/** A path. */
export function escapePath(text: ByteString): string {
  return special.test(text) ? text.replace(everySpecial, escapeChar) : text;
}

/** A field that is `-` when it is not set: a lone dash is escaped. */
export function escapeOptional(text: ByteString): string {
  return text === '-' ? '\\x2d' : escapePath(text);
}

/** Name or value of an extended attribute. */
export function escapeXattr(text: ByteString): string {
  return xattrSpecial.test(text) ? text.replace(everyXattrSpecial, escapeChar) : text;
}

/** The bytes of an escaped field; `undefined` when an escape is malformed. Accepts `\\xNN` for any byte. */
export function unescape(text: string): ByteString | undefined {
  if (!text.includes('\\')) return text;
  let wellFormed = true;
  const bytes = text.replace(/\\(?:x([0-9a-fA-F]{2})|([\\nrt]))?/g, (_, digits?: string, letter?: string) => {
    if (digits !== undefined) return String.fromCharCode(parseInt(digits, 16));
    if (letter !== undefined) return letters[letter]!;
    wellFormed = false;
    return '';
  });
  return wellFormed ? bytes : undefined;
}

const letters: Readonly<Record<string, string>> = { '\\': '\\', n: '\n', r: '\r', t: '\t' };

function escapeChar(char: string): string {
  return escapes[char.charCodeAt(0)]!;
}

function hex(code: number): string {
  return `\\x${code.toString(16).padStart(2, '0')}`;
}
