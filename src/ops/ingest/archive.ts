/**
 * An archive's way into a transaction. A plain archive file is only read for its headers here: workers read each
 * member's content from the file themselves. A packed or streamed one is unpacked into slots of shared memory and
 * parsed there, and content goes to the workers as ranges of slots. Either way nothing is copied on the main thread.
 */
import type { ByteString } from '../../core/bytes.ts';
import type { Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import type { EventSink } from '../../core/events.ts';
import type { Content, IncomingFile, IngestPool } from '../../store/ingest/pool.ts';
import type { Transaction } from '../../store/transaction.ts';
import type { Entry } from '../../tree/entry.ts';
import { createTreeAssembler, type TreeAssembler } from '../../tree/tar/assemble.ts';
import { createTarParser, type TarLimits, type TarMember, type TarParser } from '../../tree/tar/parse.ts';
import { createAccountFiles, type AccountFiles } from './account-files.ts';
import { openArchive, type ArchiveInput } from './archive-input.ts';

export interface ArchiveOptions extends Omit<FeedOptions, 'file' | 'mayLackEnd' | 'begin' | 'progress'> {
  readonly exclude: (path: ByteString) => boolean;
  readonly events: EventSink;
}

export interface FeedOptions {
  /** Path, or a name for messages when `file` or `stream` is given. */
  readonly source: string;
  readonly file?: string | undefined;
  readonly stream?: AsyncIterable<Uint8Array> | undefined;
  /** Wanted digest of the archive's bytes as they arrive, packed. */
  readonly sha256?: Digest | undefined;
  readonly limits: TarLimits;
  /** See the parser. */
  readonly mayLackEnd?: boolean;
  readonly signal: AbortSignal;
  /** The archive is open; its size in bytes where it is known. */
  readonly begin?: (size: { total?: number }) => void;
  /** Bytes of the archive read so far. */
  readonly progress: (done: number) => void;
}

/** Where the members of an archive go. */
export interface ArchiveSink {
  readonly assembler: Pick<TreeAssembler, 'add'>;
  readonly accounts: AccountFiles;
}

/** @throws E_ARCHIVE_*, E_CHECKSUM_MISMATCH, E_DECOMPRESSOR, E_CANCELLED; nothing is published by this */
export async function ingestArchive({ ingest }: Transaction, options: ArchiveOptions): Promise<Entry[]> {
  const { source, exclude, events } = options;
  const assembler = createTreeAssembler({ source, exclude, maxFiles: options.limits.maxFiles });
  const accounts = createAccountFiles();
  await feedArchive(
    ingest,
    { assembler, accounts },
    {
      ...options,
      begin: (size) =>
        events({ type: 'step', step: 'import', label: `importing ${source}`, unit: 'bytes', ...size }),
      progress: (done) => events({ type: 'progress', step: 'import', done }),
    },
  );
  events({ type: 'step-end', step: 'import' });
  return assembler.finish(accounts.resolvers());
}

/** Brings an archive's members to `sink` and their content to the workers; on return all of it is hashed. */
export async function feedArchive(
  ingest: IngestPool,
  sink: ArchiveSink,
  options: FeedOptions,
): Promise<void> {
  const { source } = options;
  const { assembler, accounts } = sink;
  ingest.prepare();
  using archive = openArchive(options);
  const carrier =
    archive.plain === undefined
      ? slotCarrier(ingest, archive, accounts)
      : rangeCarrier(ingest, archive.plain, accounts);
  const parser = createTarParser(
    {
      member(member) {
        const content: Content | undefined =
          member.type === 'file' && member.size > 0 ? { digest: undefined, size: member.size } : undefined;
        const stored = assembler.add(member, content) === 'stored';
        carrier.begin(member, stored ? content : undefined);
      },
      data: carrier.data,
      memberEnd: carrier.end,
    },
    { source, limits: options.limits, mayLackEnd: options.mayLackEnd === true },
  );
  options.begin?.(archive.total);
  await carrier.run(parser, options.progress);
  parser.finish();
  if (options.sha256 !== undefined) {
    const found = archive.digest();
    if (found !== options.sha256)
      throw new CellarError('E_CHECKSUM_MISMATCH', { details: { source, found, wanted: options.sha256 } });
  }
  await ingest.drain();
}

/** Feeds a parser, and brings the content of members to the workers. */
interface Carrier {
  /** Without `content`, the member's data is not wanted. */
  begin(member: TarMember, content: Content | undefined): void;
  data(chunk: Uint8Array, start: number, end: number): void;
  end(): void;
  run(parser: TarParser, progress: (done: number) => void): Promise<void>;
}

function slotCarrier(ingest: IngestPool, archive: ArchiveInput, accounts: AccountFiles): Carrier {
  let slot = -1;
  let incoming: IncomingFile | undefined;
  return {
    begin(member, content) {
      accounts.member(member);
      incoming = content === undefined ? undefined : ingest.file(content, member, member.sparse);
    },
    data(chunk, start, end) {
      incoming?.piece(slot, start, end - start);
      accounts.data(chunk, start, end);
    },
    end() {
      incoming?.end();
      incoming = undefined;
    },
    async run(parser, progress) {
      for await (const filled of archive.slots(ingest)) {
        slot = filled.index;
        parser.push(filled.bytes);
        ingest.releaseSlot(slot);
        ingest.flush();
        progress(archive.read());
      }
    },
  };
}

/**
 * How much is read for headers: little after content that was passed over, since more content is likely to follow and
 * would be read for nothing; more and more while there is nothing to pass over.
 */
const windowBytes = { least: 16 << 10, most: 128 << 10 };

function rangeCarrier(
  ingest: IngestPool,
  file: NonNullable<ArchiveInput['plain']>,
  accounts: AccountFiles,
): Carrier {
  return {
    begin(member, content) {
      // Content that the file does not hold is truncation, which the parser tells of better than a worker could.
      if (member.dataOffset + member.storedSize > file.size) return;
      accounts.read(member, (length) => file.readAt(member.dataOffset, Buffer.alloc(length)));
      if (content !== undefined)
        ingest.range(content, member, { fd: file.fd, offset: member.dataOffset, sparse: member.sparse });
    },
    data() {},
    end() {},
    async run(parser, progress) {
      const window = Buffer.allocUnsafeSlow(windowBytes.most);
      let length = windowBytes.least;
      for (let offset = 0; offset < file.size;) {
        const filled = file.readAt(offset, window.subarray(0, length));
        if (filled.length === 0) return;
        parser.push(filled);
        offset += filled.length;
        const skip = Math.min(parser.skippable(), file.size - offset);
        length = skip > 0 ? windowBytes.least : Math.min(length * 2, windowBytes.most);
        parser.skip(skip);
        offset += skip;
        await ingest.room();
        progress(offset);
      }
    },
  };
}
