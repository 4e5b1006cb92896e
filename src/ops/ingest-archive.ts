/**
 * An archive's way into a transaction: its bytes are read (or unpacked) into slots of shared memory and parsed
 * there, and each file's content goes to a hashing worker as a range of a slot, never copied on the way.
 */
import type { ByteString } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import type { EventSink } from '../core/events.ts';
import type { Content, IncomingFile } from '../store/ingest/pool.ts';
import type { Transaction } from '../store/transaction.ts';
import { createTreeAssembler } from '../tree/tarball/assemble.ts';
import type { Entry } from '../tree/entry.ts';
import { createTarParser, type TarLimits, type TarMember } from '../tree/tarball/parse.ts';
import { createAccountFiles } from './account-files.ts';
import { openArchive, type FilledSlot } from './archive-input.ts';

export interface ArchiveOptions {
  /** Path, or a name for messages when `stream` is given. */
  readonly source: string;
  readonly stream?: AsyncIterable<Uint8Array> | undefined;
  /** Wanted digest of the archive's bytes as they arrive, packed. */
  readonly sha256?: Digest | undefined;
  readonly exclude: (path: ByteString) => boolean;
  readonly limits: TarLimits;
  readonly signal: AbortSignal;
  readonly events: EventSink;
}

/** @throws E_ARCHIVE_*, E_CHECKSUM_MISMATCH, E_DECOMPRESSOR, E_CANCELLED; nothing is published by this */
export async function ingestArchive(transaction: Transaction, options: ArchiveOptions): Promise<Entry[]> {
  const { ingest } = transaction;
  const { source, events } = options;
  using archive = openArchive(options);
  const assembler = createTreeAssembler({ source, exclude: options.exclude });
  const accounts = createAccountFiles();
  let slot: FilledSlot | undefined;
  let wanted: { member: TarMember; content: Content } | undefined;
  let incoming: IncomingFile | undefined;
  /** Only once its first byte is seen is it known where a file's content lies. */
  const begin = (start: number): void => {
    if (wanted === undefined || incoming !== undefined) return;
    const again =
      slot?.again === undefined ? undefined : { fd: slot.again.fd, offset: slot.again.offset + start };
    incoming = ingest.file(wanted.content, wanted.member, { sparse: wanted.member.sparse, again });
  };
  const parser = createTarParser(
    {
      member(member) {
        const content: Content | undefined =
          member.type === 'file' && member.size > 0 ? { size: member.size } : undefined;
        const stored = assembler.add(member, content) === 'stored';
        wanted = stored && content !== undefined ? { member, content } : undefined;
        accounts.member(member);
      },
      data(chunk, start, end) {
        begin(start);
        incoming?.piece(slot!.index, start, end - start);
        accounts.data(chunk, start, end);
      },
      memberEnd() {
        begin(0);
        incoming?.end();
        incoming = undefined;
        wanted = undefined;
      },
    },
    { source, limits: options.limits },
  );
  events({ type: 'step', step: 'import', label: `importing ${source}`, unit: 'bytes', ...archive.total });
  for await (const filled of archive.slots(ingest)) {
    slot = filled;
    parser.push(filled.bytes);
    ingest.releaseSlot(filled.index);
    ingest.flush();
    events({ type: 'progress', step: 'import', done: archive.read() });
  }
  parser.finish();
  if (options.sha256 !== undefined && archive.digest() !== options.sha256) {
    const details = { source, found: archive.digest(), wanted: options.sha256 };
    throw new CellarError('E_CHECKSUM_MISMATCH', { details });
  }
  await ingest.drain();
  events({ type: 'step-end', step: 'import' });
  return assembler.finish(accounts.resolvers());
}
