/**
 * Byte strings. File names, symlink targets and xattr values are bytes, not text. We hold them as JavaScript
 * strings with one char per byte (Latin-1): V8 stores those at one byte a char, `===` compares them exactly
 * and `<` orders them as memcmp(3) does. They become Buffers at a system call and UTF-8 only on a screen.
 */
export type ByteString = string;

export function toBytes(text: ByteString): Buffer {
  return Buffer.from(text, 'latin1');
}

export function fromBytes(bytes: Uint8Array): ByteString {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** UTF-16 text (an argument, a config value) as the byte string of its UTF-8 form. */
export function fromText(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/**
 * For people: UTF-8 where the bytes are valid UTF-8, and `\xNN` for each byte of what is not, of control characters, and
 * of those that turn the direction of writing, so that `exe.txt` would be read as `txt.exe`.
 */
export function toText(bytes: ByteString): string {
  const utf8 = Buffer.from(bytes, 'latin1').toString('utf8');
  const text = utf8.includes('\uFFFD') ? bytes.replace(/[\x80-\xff]/g, hexEscape) : utf8;
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\x00-\x1f\x7f\u0080-\u009f\u202a-\u202e\u2066-\u2069]/g, (char) =>
    fromText(char).replace(/[^]/g, hexEscape),
  );
}

/** Back from {@link toText}, for names that were copied from a screen: `\xNN` is that byte. */
export function fromShown(text: string): ByteString {
  return fromText(text).replace(/\\x([0-9a-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function hexEscape(char: string): string {
  return `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
}
