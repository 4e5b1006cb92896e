/**
 * A tar reader that is pushed chunks and hands on members and slices of those very chunks: content is never copied.
 * It decides what is an archive and what is damage; what a name may do to a tree is the assembler's business. Every
 * way in which an archive can be wrong has a decided outcome: docs/reference/archives.md.
 */
import {
  blockSize,
  field,
  hasValidChecksum,
  isZeroBlock,
  paddingOf,
  readNumber,
  typeFlagAt,
} from './block.ts';
import { createExtensionReader, isExtension } from './extensions.ts';
import { readMember, type FoundMember, type TarMember } from './member.ts';
import { TarProblem } from './pax.ts';
import { shorten, tarProblems } from './problems.ts';
import {
  checkSparseMap,
  createMapReader,
  gnuSparse,
  mostSegments,
  readGnuSlots,
  type MapReader,
} from './sparse-map.ts';

export type { TarMember } from './member.ts';

export interface TarHandler {
  member(member: TarMember): void;
  /** Stored content in `chunk[start, end)`, the chunk as it was pushed; of a sparse file its segments one after another. */
  data(chunk: Uint8Array, start: number, end: number): void;
  /** After the last byte of every member, also of those without content. */
  memberEnd(): void;
}

export interface TarLimits {
  /** Sum of the logical sizes of all files. */
  readonly maxSize: number;
  /** Number of members of any type. */
  readonly maxFiles: number;
}

export interface TarParser {
  push(chunk: Uint8Array): void;
  /** Content and padding to come before the next header, in bytes: who can seek need not push them. */
  skippable(): number;
  /** Pass over so many bytes of what is skippable; `data` does not hear of them. */
  skip(bytes: number): void;
  /** No more bytes will come. */
  finish(): void;
}

/** What an archive may hold beside content and member headers: padding cannot be a bomb either. */
const freeOverhead = 64 << 20;
const overheadPerMember = 4096;

type State =
  | 'header'
  /** Behind a zero block: more of them, another archive, or the end. */
  | 'ended'
  /** Blocks that go on with a sparse map: of the old GNU form, of PAX form 1.0. */
  | 'sparse slots'
  | 'sparse lines'
  | 'extension'
  | 'content'
  | 'skip';

/**
 * @throws from `push` and `finish`: E_ARCHIVE_FORMAT, E_ARCHIVE_CORRUPT, E_ARCHIVE_TRUNCATED and E_ARCHIVE_LIMIT,
 *   the last before any byte of the member in question is handed on
 */
export function createTarParser(
  handler: TarHandler,
  options: {
    readonly source: string;
    readonly limits: TarLimits;
    /** It may end where a member ends, with or without its padding: for whoever knows by other means that nothing is missing. */
    readonly mayLackEnd?: boolean;
  },
): TarParser {
  const { limits } = options;
  const problems = tarProblems(options.source);
  /** A block that crosses the border of two chunks. */
  const held = Buffer.alloc(blockSize);
  let heldBytes = 0;
  let state: State = 'header';
  /** Of the present block in the archive, and of the present chunk. */
  let offset = 0;
  let chunkOffset = 0;
  /** Bytes of the present state that are still to come, and the padding behind them. */
  let remaining = 0;
  let padding = 0;
  let pending: FoundMember | undefined;
  let lines: MapReader | undefined;
  let lineBytes = 0;
  let members = 0;
  let contentBytes = 0;
  let overhead = 0;
  let hasBlocks = false;
  const extensions = createExtensionReader();

  /** Problems that the pure readers find get their place here. */
  const located = <T>(read: () => T): T => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof TarProblem)) throw error;
      throw error.kind === 'format'
        ? problems.format(error.message)
        : problems.corrupt(offset, error.message);
    }
  };

  const countOverhead = (bytes: number): void => {
    overhead += bytes;
    if (overhead > limits.maxSize + freeOverhead + members * overheadPerMember)
      throw problems.limit('what --max-size allows beside the content of files');
  };

  const passOver = (size: number): void => {
    remaining = size + paddingOf(size);
    countOverhead(remaining);
    state = remaining === 0 ? 'header' : 'skip';
  };

  const onBlock = (block: Buffer, at: number): void => {
    if (state === 'sparse slots') onSlots(block, at);
    else if (state === 'sparse lines') onLines(block, at);
    else if (block[at] === 0 && isZeroBlock(block, at)) onZeroBlock();
    else if (hasValidChecksum(block, at)) onHeader(block, at);
    else if (!hasBlocks) throw problems.format('it does not begin with a tar header');
    else if (state === 'ended') throw problems.corrupt(offset, 'something else follows the archive');
    else throw problems.corrupt(offset, 'the checksum of a header is wrong');
    hasBlocks = true;
  };

  const onZeroBlock = (): void => {
    if (extensions.isOpen()) throw problems.corrupt(offset, 'an extended header has no member');
    extensions.endArchive();
    state = 'ended';
    countOverhead(blockSize);
  };

  const onHeader = (block: Buffer, at: number): void => {
    const flag = block[at + typeFlagAt]!;
    if (isExtension(flag)) return beginExtension(flag, sizeOf(block, at));
    if (flag === 0x56) return passOver(sizeOf(block, at)); // the label of a volume
    if (flag === 0x4e) throw problems.format('it has long names in a form given up in 1990');
    const found = located(() => readMember(block, at, extensions, offset));
    extensions.endMember();
    pending = found;
    if (found.moreMap === undefined) beginMember(found, found.bytes);
    else if (found.moreMap === 'extension blocks') state = 'sparse slots';
    else {
      lines = createMapReader();
      lineBytes = 0;
      state = 'sparse lines';
    }
  };

  const sizeOf = (block: Buffer, at: number): number => {
    const size = readNumber(block, at, field.size);
    if (size === undefined || size < 0) throw problems.corrupt(offset, 'field size of a header is no size');
    return size;
  };

  const beginExtension = (flag: number, size: number): void => {
    countOverhead(size);
    const limit = extensions.begin(flag, size);
    if (limit !== undefined) throw problems.limit(limit);
    remaining = size;
    padding = paddingOf(size);
    state = 'extension';
    if (size === 0) endExtension(held, 0, 0);
  };

  const endExtension = (bytes: Buffer, start: number, end: number): void => {
    const limit = located(() => extensions.end(bytes, start, end));
    if (limit !== undefined) throw problems.limit(limit);
    remaining = padding;
    state = padding === 0 ? 'header' : 'skip';
  };

  const onSlots = (block: Buffer, at: number): void => {
    const { map, bytes } = pending!;
    if (!readGnuSlots(block, at, gnuSparse.extension.slots, map!))
      throw problems.corrupt(offset, 'the sparse map is malformed');
    if (map!.length > mostSegments * 2) throw problems.limit(`${mostSegments} segments in one sparse file`);
    countOverhead(blockSize);
    if (block[at + gnuSparse.extension.more] === 0) beginMember(pending!, bytes);
  };

  const onLines = (block: Buffer, at: number): void => {
    const { member, bytes, map } = pending!;
    lines!.take(block, at, at + blockSize);
    lineBytes += blockSize;
    const problem = lines!.problem();
    if (problem !== undefined) throw problems.corrupt(member.offset, problem);
    if (lineBytes > bytes) throw problems.corrupt(member.offset, 'the sparse map does not end');
    if (!lines!.isDone()) return;
    for (const number of lines!.map) map!.push(number);
    beginMember(pending!, bytes - lineBytes);
  };

  const beginMember = ({ member, map }: FoundMember, following: number): void => {
    if (++members > limits.maxFiles) throw problems.limit(`${limits.maxFiles} entries`);
    contentBytes += member.size;
    if (contentBytes > limits.maxSize) throw problems.limit(`${limits.maxSize} bytes of content`);
    member.dataOffset = offset + blockSize;
    if (map !== undefined) {
      const segments = checkSparseMap(map, member.size, following);
      if (typeof segments === 'string') throw problems.corrupt(member.offset, segments);
      member.storedSize = following;
      member.sparse = segments;
    }
    handler.member(member);
    if (member.type === 'file' && following > 0) {
      remaining = following;
      padding = paddingOf(following);
      state = 'content';
      return;
    }
    handler.memberEnd();
    passOver(following);
  };

  const endContent = (): void => {
    handler.memberEnd();
    remaining = padding;
    state = padding === 0 ? 'header' : 'skip';
  };

  /** A whole block from the chunk or from what was held of the one before. Returns the bytes taken. */
  const takeBlock = (bytes: Buffer, at: number): number => {
    if (heldBytes === 0) {
      offset = chunkOffset + at;
      if (bytes.length - at >= blockSize) {
        onBlock(bytes, at);
        return blockSize;
      }
    }
    const count = Math.min(blockSize - heldBytes, bytes.length - at);
    bytes.copy(held, heldBytes, at, at + count);
    heldBytes += count;
    if (heldBytes === blockSize) {
      heldBytes = 0;
      onBlock(held, 0);
    }
    return count;
  };

  /** Bytes whose number is known. Returns those taken. */
  const takeBytes = (chunk: Uint8Array, bytes: Buffer, at: number): number => {
    const count = Math.min(remaining, bytes.length - at);
    if (state === 'extension') {
      remaining -= count;
      const whole = extensions.take(bytes, at, at + count, remaining === 0);
      if (whole !== undefined) endExtension(whole.bytes, whole.start, whole.end);
      return count;
    }
    if (state === 'content') handler.data(chunk, at, at + count);
    pass(count);
    return count;
  };

  const pass = (count: number): void => {
    remaining -= count;
    if (remaining > 0) return;
    if (state === 'content') endContent();
    else state = 'header';
  };

  const whereItEnds = (): string => {
    if (state === 'content' || state === 'sparse slots' || state === 'sparse lines')
      return `in ${shorten(pending!.member.path)}`;
    if (state === 'extension') return 'in an extended header';
    return heldBytes > 0 ? 'in a header' : 'the end of the archive is missing';
  };

  return {
    push(chunk) {
      const bytes = Buffer.isBuffer(chunk)
        ? chunk
        : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      for (let at = 0; at < bytes.length;) {
        const hasLength = state === 'content' || state === 'skip' || state === 'extension';
        at += hasLength ? takeBytes(chunk, bytes, at) : takeBlock(bytes, at);
      }
      chunkOffset += bytes.length;
    },
    skippable: () => (state === 'content' ? remaining + padding : state === 'skip' ? remaining : 0),
    skip(bytes) {
      for (let left = bytes; left > 0 && (state === 'content' || state === 'skip');) {
        const count = Math.min(left, remaining);
        pass(count);
        left -= count;
        chunkOffset += count;
      }
    },
    finish() {
      const isBetween = state === 'skip' ? remaining < blockSize : state === 'header' && heldBytes === 0;
      if (options.mayLackEnd === true && isBetween && !extensions.isOpen()) return;
      if (!hasBlocks)
        throw problems.format(chunkOffset === 0 ? 'it is empty' : 'it is too short to be a tar archive');
      if (state !== 'ended') throw problems.truncated(chunkOffset, whereItEnds());
      if (held.subarray(0, heldBytes).some((byte) => byte !== 0))
        throw problems.corrupt(offset, 'something else follows the archive');
    },
  };
}
