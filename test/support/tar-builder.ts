/**
 * Tar archives byte by byte, for tests that need what no tar program would write. It shares no code with the
 * product, so that both cannot be wrong in the same way.
 */
export interface HeaderFields {
  readonly name?: string;
  readonly type?: string;
  readonly link?: string;
  /** Numbers are written as octal; a Buffer goes in as it is. */
  readonly mode?: number | Buffer;
  readonly uid?: number | Buffer;
  readonly gid?: number | Buffer;
  readonly size?: number | Buffer;
  readonly mtime?: number | Buffer;
  readonly major?: number | Buffer;
  readonly minor?: number | Buffer;
  readonly magic?: string;
  readonly prefix?: string;
  /** Written last, before the checksum: offset → bytes. */
  readonly raw?: Readonly<Record<number, Buffer>>;
  /** Added to the right checksum. */
  readonly wrongBy?: number;
}

/** One 512-byte header, ustar unless `magic` says otherwise. Strings are Latin-1. */
export function header(fields: HeaderFields = {}): Buffer {
  const block = Buffer.alloc(512);
  const numeric = (at: number, length: number, value: number | Buffer): void => {
    if (typeof value === 'number') block.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1');
    else value.copy(block, at);
  };
  block.write(fields.name ?? 'file', 0, 100, 'latin1');
  numeric(100, 8, fields.mode ?? 0o644);
  numeric(108, 8, fields.uid ?? 0);
  numeric(116, 8, fields.gid ?? 0);
  numeric(124, 12, fields.size ?? 0);
  numeric(136, 12, fields.mtime ?? 0);
  block.write(fields.type ?? '0', 156, 1, 'latin1');
  block.write(fields.link ?? '', 157, 100, 'latin1');
  block.write(fields.magic ?? ustar, 257, 8, 'latin1');
  numeric(329, 8, fields.major ?? 0);
  numeric(337, 8, fields.minor ?? 0);
  block.write(fields.prefix ?? '', 345, 155, 'latin1');
  for (const [at, bytes] of Object.entries(fields.raw ?? {})) bytes.copy(block, Number(at));
  return checksummed(block, fields.wrongBy);
}

export const ustar = 'ustar\x0000';
export const gnu = 'ustar  \0';
export const v7 = '';

function checksummed(block: Buffer, wrongBy = 0): Buffer {
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0) + wrongBy;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** A header and content, padded; the size is the content's unless given. */
export function member(fields: HeaderFields, content: Buffer | string = ''): Buffer {
  const bytes = Buffer.from(content as string, 'latin1');
  return Buffer.concat([header({ size: bytes.length, ...fields }), padded(bytes)]);
}

export function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

export const file = (name: string, content: Buffer | string = '', fields: HeaderFields = {}): Buffer =>
  member({ name, ...fields }, content);
export const directory = (name: string, fields: HeaderFields = {}): Buffer =>
  header({ name, type: '5', mode: 0o755, ...fields });
export const symlink = (name: string, link: string): Buffer => header({ name, type: '2', link });
export const hardlink = (name: string, link: string): Buffer => header({ name, type: '1', link });

/** One pax record; the length counts itself. */
export function record(keyword: string, value: string): string {
  const rest = ` ${keyword}=${value}\n`;
  let length = rest.length;
  while (`${length}${rest}`.length !== length) length = `${length}${rest}`.length;
  return `${length}${rest}`;
}

/** A pax extended header (or a global one), from pairs in order or from raw text. */
export function pax(records: readonly (readonly [string, string])[] | string, type: 'x' | 'g' = 'x'): Buffer {
  const text =
    typeof records === 'string' ? records : records.map(([key, value]) => record(key, value)).join('');
  return member({ name: 'PaxHeaders/x', type }, text);
}

/** GNU's long name (`L`) or long link (`K`) before a member. */
export function longName(name: string, type: 'L' | 'K' = 'L'): Buffer {
  return member({ name: '././@LongLink', type, magic: gnu }, `${name}\0`);
}

/** GNU's base-256 number in a field of `length` bytes. */
export function base256(value: bigint, length: number): Buffer {
  const field = Buffer.alloc(length, value < 0n ? 0xff : 0);
  for (let at = length - 1, rest = value; at > 0; at--, rest >>= 8n) field[at] = Number(rest & 0xffn);
  field[0] = value < 0n ? 0xff : 0x80;
  return field;
}

export interface OldSparse {
  readonly name: string;
  readonly realSize: number | Buffer;
  readonly segments: readonly (readonly [offset: number | Buffer, length: number | Buffer])[];
  readonly content: Buffer | string;
}

/** Old GNU sparse: 4 pairs in the header, 21 in each extension block. */
export function oldSparse({ name, realSize, segments, content }: OldSparse): Buffer {
  const pairs = segments.map(([offset, length]) => Buffer.concat([octal12(offset), octal12(length)]));
  const rest = pairs.slice(4);
  const extensions: Buffer[] = [];
  for (let at = 0; at < rest.length; at += 21) {
    const block = Buffer.alloc(512);
    Buffer.concat(rest.slice(at, at + 21)).copy(block);
    if (at + 21 < rest.length) block[504] = 1;
    extensions.push(block);
  }
  const bytes = Buffer.from(content as string, 'latin1');
  const raw = {
    386: Buffer.concat(pairs.slice(0, 4)),
    482: Buffer.from([rest.length > 0 ? 1 : 0]),
    483: octal12(realSize),
  };
  return Buffer.concat([
    header({ name, type: 'S', magic: gnu, size: bytes.length, raw }),
    ...extensions,
    padded(bytes),
  ]);
}

function octal12(value: number | Buffer): Buffer {
  if (typeof value !== 'number') return value;
  return Buffer.from(`${value.toString(8).padStart(11, '0')}\0`, 'latin1');
}

/** Members and the two zero blocks that end an archive. */
export function archive(...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

/** Format 1.0 with the map as given. */
export function sparse10(records: readonly (readonly [string, string])[], map = '1\n0\n1\n'): Buffer {
  const all = new Map([
    ['GNU.sparse.major', '1'],
    ['GNU.sparse.minor', '0'],
    ['GNU.sparse.name', 'GNUSparse'],
    ['GNU.sparse.realsize', '1'],
    ...records,
  ]);
  const data =
    map === '1\n0\n1\n'
      ? Buffer.concat([padded(Buffer.from(map)), Buffer.from('x')])
      : padded(Buffer.from(map));
  return Buffer.concat([pax([...all]), file('GNUSparseFile.0/x', data)]);
}
