/** A part that becomes a tree: unpacked while it arrives, and held to its digest before anything counts. */
import { randomUUID } from 'node:crypto';
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { fromText } from '../../core/bytes.ts';
import type { Digest } from '../../core/digest.ts';
import { CellarError, isCellarError } from '../../core/errors.ts';
import { ignoreEvents } from '../../core/events.ts';
import { subtree } from '../../checkout/project.ts';
import type { Part } from '../../source/port.ts';
import { downloadsDirectory } from '../../store/downloads.ts';
import { toCellarError } from '../../sys/errno.ts';
import type { Entry } from '../../tree/entry.ts';
import type { TarLimits } from '../../tree/tar/parse.ts';
import { defaultMaxFiles, defaultMaxSize } from '../ingest/local.ts';
import { ingestArchive } from '../ingest/archive.ts';
import { settleWhileWaiting } from './settle.ts';
import { openPart, provenAfter, type Incoming, type Meter, type Transfer } from './parts.ts';

export interface ArrivedTree {
  readonly entries: readonly Entry[];
  /** Files beside the tree in the same archive, by name: the metadata of a unified Incus image. */
  readonly besides: Readonly<Record<string, Digest>>;
  readonly digest?: Digest;
}

export async function treeFrom(transfer: Transfer, part: Part, meter: Meter): Promise<ArrivedTree> {
  const { pulling, transaction } = transfer;
  const { signal, events } = pulling.context;
  if (part.format === 'directory' && part.from.type === 'file') {
    const { ingestDirectory } = await import('../ingest/directory.ts');
    const root = fromText(part.from.path);
    return {
      entries: await ingestDirectory(transaction, root, {
        ...{ exclude: () => false, limits: limitsOf(transfer), signal, events },
      }),
      besides: {},
    };
  }
  await using incoming = await openPart(transfer, part, {
    ...{ meter, passing: part.format !== 'squashfs' },
  });
  const { entries, digest } =
    part.format === 'squashfs'
      ? await fromSquashfs(transfer, part, incoming)
      : await fromStream(transfer, part, incoming);
  return { ...cut(entries, part), digest };
}

interface Ingested {
  readonly entries: Entry[];
  readonly digest: Digest;
}

async function fromStream(transfer: Transfer, part: Part, incoming: Incoming): Promise<Ingested> {
  const arriving = unstopped(incoming.chunks());
  await using settling = settleWhileWaiting(transfer);
  const entries = await ingest(transfer, part.name, arriving).catch(async (error: unknown) => {
    if (isCellarError(error, 'E_STORE_FULL')) await incoming.discard();
    if (isCellarError(error) && error.code.startsWith('E_ARCHIVE'))
      await blame(transfer, part, { incoming, arriving });
    throw error;
  });
  const { digest, file } = await incoming.finished();
  await provenAfter(transfer, part, { incoming, digest, file });
  await incoming.discard();
  await settling.end();
  return { entries, digest };
}

/**
 * Bytes that do not unpack may not be the right ones: where a digest or a signature is known, that is what went wrong.
 * @throws E_CHECKSUM_MISMATCH, E_SIGNATURE_*
 */
async function blame(
  transfer: Transfer,
  part: Part,
  { incoming, arriving }: { incoming: Incoming; arriving: AsyncIterable<Buffer> },
): Promise<void> {
  for await (const chunk of arriving) void chunk;
  const { digest, file } = await incoming.finished();
  await provenAfter(transfer, part, { incoming, digest, file });
  await incoming.discard();
}

/** Whoever stops reading these chunks does not end them: the next one who reads goes on from there. */
function unstopped(chunks: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  const iterator = chunks[Symbol.asyncIterator]();
  return { [Symbol.asyncIterator]: () => ({ next: () => iterator.next() }) };
}

/** A file system image is read where it likes, so it has to be whole first. */
async function fromSquashfs(transfer: Transfer, part: Part, incoming: Incoming): Promise<Ingested> {
  const { squashfsToTar } = await import('../../source/squashfs.ts');
  // A file of this machine's may be changed while it is read a second time.
  using copy = part.from.type === 'http' ? undefined : openCopy(transfer.pulling.store.root);
  for await (const chunk of incoming.chunks()) copy?.write(chunk);
  const { digest, file = copy?.path } = await incoming.finished();
  if (file === undefined) throw new Error('a squashfs image that is no file');
  await provenAfter(transfer, part, { incoming, digest, file });
  const entries = await ingest(
    transfer,
    part.name,
    squashfsToTar(file, transfer.pulling.context.signal, part.name),
  );
  await incoming.discard();
  return { entries, digest };
}

/** Gone when it is disposed; after a crash gc takes it for a download that nobody continues. */
function openCopy(root: string): Disposable & { readonly path: string; write(chunk: Buffer): void } {
  const path = `${downloadsDirectory(root)}/${randomUUID()}.part`;
  const explained = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw toCellarError(error, { doing: 'copying an image', path });
    }
  };
  const fd = explained(() => openSync(path, 'wx', 0o600));
  return {
    path,
    write: (chunk) => explained(() => writeFileSync(fd, chunk)),
    [Symbol.dispose]() {
      closeSync(fd);
      rmSync(path, { force: true });
    },
  };
}

async function ingest(
  { pulling, transaction }: Transfer,
  name: string,
  stream: AsyncIterable<Uint8Array>,
): Promise<Entry[]> {
  return await ingestArchive(transaction, {
    source: name,
    stream,
    exclude: () => false,
    limits: limitsOf({ pulling }),
    signal: pulling.context.signal,
    events: ignoreEvents,
  });
}

function limitsOf({ pulling }: Pick<Transfer, 'pulling'>): TarLimits {
  const { maxSize = defaultMaxSize, maxFiles = defaultMaxFiles } = pulling.options;
  return { maxSize, maxFiles };
}

/** Each becomes a line of the image's record, which whoever asks for the image reads; images have a dozen. */
const mostBesides = 1000;
const mostNameBytes = 64 << 10;

/** @throws E_ARCHIVE_FORMAT when the archive has no such directory, E_ARCHIVE_LIMIT */
function cut(entries: readonly Entry[], { name, subpath }: Part): Pick<ArrivedTree, 'entries' | 'besides'> {
  if (subpath === undefined) return { entries, besides: {} };
  const top = `/${subpath}`;
  if (!entries.some(({ path, type }) => path === top && type === 'directory'))
    throw new CellarError('E_ARCHIVE_FORMAT', {
      details: {
        source: name,
        problem: `it has no directory ${subpath}, which is the tree of such an image`,
      },
      hint: 'the image server lists it as what it is not; its operator has to mend that',
    });
  const besides = entries.flatMap(({ path, digest }): [string, Digest][] =>
    digest === undefined || path.startsWith(`${top}/`) ? [] : [[path.slice(1), digest]],
  );
  const bytes = besides.reduce((sum, [path]) => sum + path.length, 0);
  if (besides.length > mostBesides || bytes > mostNameBytes)
    throw new CellarError('E_ARCHIVE_LIMIT', {
      details: {
        source: name,
        limit: `${mostBesides} files, or ${mostNameBytes} bytes of names, beside ${subpath}`,
      },
      hint: 'an image has a dozen of them: its metadata and templates',
    });
  return { entries: subtree(entries, top), besides: Object.fromEntries(besides) };
}
