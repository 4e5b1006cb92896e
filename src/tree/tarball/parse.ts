/**
 * A push parser for tar: bytes go in as they come, members and slices of content come out, nothing is copied but
 * what crosses a chunk's border. It decides what is an archive and what is damage; what a name may do to a tree is
 * the assembler's business. Every error says at which byte.
 *
 * Decided: two archives one after another are read as one, as `tar -i` does; zeros may follow, anything else is
 * damage; an archive without at least one zero block at its end is truncated.
 */
import { fromBytes, toText } from '../../core/bytes.ts';
import { CellarError } from '../../core/errors.ts';
import type { ErrorCode } from '../../core/error-registry.ts';
import { blockBytes, checksumMatches, isZeroBlock, parseHeader, type RawHeader } from './header.ts';
import { draftMember, type MemberDraft, type TarMember } from './member.ts';
import { emptyPax, parsePaxRecords, type PaxRecords } from './pax.ts';
import {
  checkSegments,
  createSparseMapReader,
  oldGnuContinues,
  oldGnuRealSize,
  oldGnuSegments,
  type Segment,
  type SparseMapReader,
} from './sparse.ts';

export type { TarMember } from './member.ts';

export interface TarHandler {
  member(member: TarMember): void;
  /** Stored content of the present member, in order: `chunk[start … end)` of a pushed chunk. */
  data(chunk: Uint8Array, start: number, end: number): void;
  memberEnd(): void;
}

export interface TarLimits {
  /** Sum of the logical sizes of all files, in bytes. */
  readonly maxSize: number;
  readonly maxFiles: number;
}

export interface TarParser {
  /** @throws E_ARCHIVE_FORMAT, E_ARCHIVE_CORRUPT, E_ARCHIVE_LIMIT, and what the handler throws */
  push(chunk: Uint8Array): void;
  /** Content and padding to come before the next header, in bytes: who can seek need not push them. */
  skippable(): number;
  /** Pass over so many bytes of what is skippable; `data` does not hear of them. */
  skip(bytes: number): void;
  /** @throws E_ARCHIVE_TRUNCATED, E_ARCHIVE_FORMAT */
  finish(): void;
}

/**
 * Extended headers and long names of one member, and its sparse map, beyond this many bytes are refused rather than
 * gathered: the kernel's own limits are far below.
 */
const largestMeta = 8 << 20;
/** Global records in force: every member after them pays for them. */
const largestGlobal = 64 << 10;
/** As many as a sparse map of `largestMeta` bytes holds in the densest form, an extension block. */
const mostSegments = Math.floor(largestMeta / 24);

type State = 'header' | 'meta' | 'extension' | 'map' | 'data' | 'skip';

export function createTarParser(
  handler: TarHandler,
  { source, limits }: { source: string; limits: TarLimits },
): TarParser {
  let state: State = 'header';
  /** Bytes still wanted in `data` and `skip`. */
  let left = 0;
  /** Padding after the content in hand. */
  let padding = 0;
  /** Bytes gathered for a header, an extension block, a meta member or a sparse map. */
  let gathered: Buffer[] = [];
  let gatheredBytes = 0;
  let offset = 0;
  let zeroBlocks = 0;
  let members = 0;
  let content = 0;
  let global = emptyPax();
  let local: PaxRecords | undefined;
  let names: { path?: string; link?: string } = {};
  let meta: { type: string; size: number } | undefined;
  /** Bytes of extended headers before the next member. */
  let metaBytes = 0;
  let draft: MemberDraft | undefined;
  let segments: Segment[] = [];
  let realSize = 0;
  let map: SparseMapReader = createSparseMapReader();
  let sawArchive = false;

  function fail(code: ErrorCode, problem: string, cause?: unknown): never {
    throw new CellarError(code, { details: { source, offset, problem }, cause });
  }

  function exceed(limit: string): never {
    throw new CellarError('E_ARCHIVE_LIMIT', { details: { source, offset, limit } });
  }

  /** Run a step that throws plain Errors, and say where it was. */
  function at<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof CellarError) throw error;
      return fail('E_ARCHIVE_CORRUPT', (error as Error).message, error);
    }
  }

  /** `count` bytes in one piece, or `undefined` until they are all there. */
  function gather(chunk: Buffer, from: number, count: number): { bytes: Buffer; next: number } | undefined {
    const missing = count - gatheredBytes;
    const part = chunk.subarray(from, from + missing);
    if (gatheredBytes === 0 && part.length === count) return { bytes: part, next: from + count };
    gathered.push(Buffer.from(part));
    gatheredBytes += part.length;
    if (gatheredBytes < count) return undefined;
    const bytes = Buffer.concat(gathered);
    gathered = [];
    gatheredBytes = 0;
    return { bytes, next: from + part.length };
  }

  function onHeader(block: Buffer): void {
    if (isZeroBlock(block)) {
      if (local !== undefined || names.path !== undefined || names.link !== undefined)
        fail('E_ARCHIVE_CORRUPT', 'an extended header has no member');
      zeroBlocks++;
      return;
    }
    if (!checksumMatches(block)) {
      if (!sawArchive && zeroBlocks === 0) fail('E_ARCHIVE_FORMAT', 'it has no tar header');
      fail(
        'E_ARCHIVE_CORRUPT',
        zeroBlocks > 0 ? 'something else follows the archive' : 'a header has the wrong checksum',
      );
    }
    if (zeroBlocks > 0) global = emptyPax();
    zeroBlocks = 0;
    sawArchive = true;
    const header = at(() => parseHeader(block));
    if ('xXgLKVNA'.includes(header.typeflag)) return onMetaHeader(header);
    if (header.typeflag === 'M') fail('E_ARCHIVE_FORMAT', 'it continues another volume');
    onMember(header, block);
  }

  function onMetaHeader({ typeflag, size }: RawHeader): void {
    if (size < 0) fail('E_ARCHIVE_CORRUPT', 'its size is negative');
    if ('VNA'.includes(typeflag)) return skip(size);
    metaBytes += size;
    if (metaBytes > largestMeta) exceed(`${largestMeta} bytes of extended headers for one entry`);
    meta = { type: typeflag, size };
    state = 'meta';
    if (size === 0) onMeta(Buffer.alloc(0));
  }

  function onMeta(bytes: Buffer): void {
    const { type, size } = meta!;
    const text = fromBytes(bytes.subarray(0, size));
    if (type === 'L' || type === 'K') {
      const name = text.replace(/\0.*$/s, '');
      names = { ...names, [type === 'L' ? 'path' : 'link']: name };
    } else if (type === 'g') {
      at(() => parsePaxRecords(text, global));
      if (recordBytes(global) > largestGlobal) exceed(`${largestGlobal} bytes of global headers`);
    } else {
      local ??= emptyPax();
      at(() => parsePaxRecords(text, local!));
    }
    meta = undefined;
    state = 'header';
  }

  function onMember(header: RawHeader, block: Buffer): void {
    const pax = merged(global, local);
    draft = at(() => draftMember(header, pax, names, offset));
    local = undefined;
    names = {};
    metaBytes = 0;
    if (++members > limits.maxFiles) exceed(`${limits.maxFiles} entries`);
    if (header.typeflag === 'S') {
      segments = at(() => oldGnuSegments(block, 'header'));
      realSize = at(() => oldGnuRealSize(block));
      if (oldGnuContinues(block, 'header')) state = 'extension';
      else beginSparse(draft.member.storedSize);
    } else if (draft.sparse === undefined)
      beginContent(draft.member.storedSize, undefined, draft.member.storedSize);
    else {
      realSize = draft.sparse.realSize;
      segments = draft.sparse.segments ?? [];
      if (draft.sparse.segments !== undefined) beginSparse(draft.member.storedSize);
      else {
        map = createSparseMapReader();
        state = 'map';
      }
    }
  }

  function onExtension(block: Buffer): void {
    segments.push(...at(() => oldGnuSegments(block, 'extension')));
    if (segments.length > mostSegments) exceed(`${mostSegments} segments of a sparse file`);
    if (!oldGnuContinues(block, 'extension')) beginSparse(draft!.member.storedSize);
  }

  /** Format 1.0: the map is the first blocks of the stored data. */
  function onMapBlock(block: Buffer): void {
    const found = at(() => map.block(fromBytes(block)));
    const { storedSize } = draft!.member;
    if (map.bytes > Math.ceil(storedSize / blockBytes) * blockBytes)
      fail('E_ARCHIVE_CORRUPT', 'its sparse map does not end');
    if (map.bytes > largestMeta) exceed(`${largestMeta} bytes of a sparse map`);
    if (found === undefined) return;
    segments = found;
    beginSparse(storedSize - map.bytes);
  }

  function beginSparse(stored: number): void {
    const checked = at(() => checkSegments(segments, realSize, stored));
    beginContent(realSize, checked, stored);
  }

  function beginContent(size: number, sparse: readonly Segment[] | undefined, stored: number): void {
    const { member } = draft!;
    const logical = member.type === 'file' ? size : 0;
    content += logical;
    if (content > limits.maxSize) exceed(`${limits.maxSize} bytes of content`);
    handler.member({
      ...member,
      size: logical,
      storedSize: stored,
      // The block in hand, whatever it was, is the last before the content.
      dataOffset: offset + blockBytes,
      ...(sparse === undefined ? {} : { sparse }),
    });
    if (member.type !== 'file') {
      handler.memberEnd();
      return skip(stored);
    }
    left = stored;
    padding = (blockBytes - (stored % blockBytes)) % blockBytes;
    state = 'data';
    if (stored === 0) endContent();
  }

  function endContent(): void {
    handler.memberEnd();
    draft = undefined;
    left = padding;
    state = padding === 0 ? 'header' : 'skip';
  }

  function skip(bytes: number): void {
    left = Math.ceil(bytes / blockBytes) * blockBytes;
    state = left === 0 ? 'header' : 'skip';
  }

  function push(bytes: Uint8Array): void {
    const chunk = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let from = 0; from < chunk.length;) {
      if (state === 'data' || state === 'skip') {
        const count = Math.min(left, chunk.length - from);
        if (state === 'data') handler.data(chunk, from, from + count);
        from += count;
        pass(count);
        continue;
      }
      const wanted = state === 'meta' ? Math.ceil(meta!.size / blockBytes) * blockBytes : blockBytes;
      const piece = gather(chunk, from, wanted);
      if (piece === undefined) return;
      if (state === 'header') onHeader(piece.bytes);
      else if (state === 'meta') onMeta(piece.bytes);
      else if (state === 'extension') onExtension(piece.bytes);
      else onMapBlock(piece.bytes);
      from = piece.next;
      offset += wanted;
    }
  }

  function pass(count: number): void {
    left -= count;
    offset += count;
    if (left > 0) return;
    if (state === 'data') endContent();
    else state = 'header';
  }

  function skippable(): number {
    return state === 'data' ? left + padding : state === 'skip' ? left : 0;
  }

  function passOver(bytes: number): void {
    for (let rest = bytes; rest > 0 && (state === 'data' || state === 'skip');) {
      const count = Math.min(rest, left);
      pass(count);
      rest -= count;
    }
  }

  function finish(): void {
    if (!sawArchive && zeroBlocks === 0)
      fail('E_ARCHIVE_FORMAT', gatheredBytes === 0 ? 'it is empty' : 'it has no tar header');
    if (state !== 'header')
      fail(
        'E_ARCHIVE_TRUNCATED',
        `in ${draft === undefined ? 'an extended header' : toText(draft.member.path)}`,
      );
    if (zeroBlocks === 0)
      fail('E_ARCHIVE_TRUNCATED', gatheredBytes > 0 ? 'in a header' : 'the end of the archive is missing');
    if (gathered.some((part) => part.some((byte) => byte !== 0)))
      fail('E_ARCHIVE_CORRUPT', 'something else follows the archive');
  }

  return { push, skippable, skip: passOver, finish };
}

/** Global records under local ones; an empty local value takes a global one back. */
function merged(global: PaxRecords, local: PaxRecords | undefined): PaxRecords {
  if (global.values.size === 0) return local === undefined ? none : withoutEmpty(local);
  return withoutEmpty({
    values: new Map([...global.values, ...(local?.values ?? [])]),
    sparse: local?.sparse ?? [],
  });
}

const none = emptyPax();

function recordBytes({ values }: PaxRecords): number {
  let bytes = 0;
  for (const [keyword, value] of values) bytes += keyword.length + value.length;
  return bytes;
}

/** An empty xattr is a value; an empty path, time or number means "as if it were not said". */
function withoutEmpty(records: PaxRecords): PaxRecords {
  for (const [keyword, value] of records.values) {
    if (value === '' && !keyword.includes('xattr.') && keyword !== 'GNU.sparse.map')
      records.values.delete(keyword);
  }
  return records;
}
