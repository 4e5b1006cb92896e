/** A tree as the parts of a tar stream: headers from the manifest, content from the objects, padding between. */
import type { Digest } from '../core/digest.ts';
import type { Egress, StreamPart } from '../store/egress/stream.ts';
import { smallestHole } from '../store/egress/holes.ts';
import type { Segment } from '../store/egress/protocol.ts';
import { archiveOrder } from '../tree/archive-order.ts';
import type { Entry } from '../tree/entry.ts';
import { tarEnd, tarMember } from '../tree/tar/write.ts';

export interface TarStream {
  /** Of the whole archive. */
  readonly bytes: number;
  readonly chunks: AsyncIterable<Buffer>;
  /** Entries that tar cannot hold. */
  readonly skipped: number;
}

export async function tarStream(egress: Egress, tree: readonly Entry[]): Promise<TarStream> {
  const entries = archiveOrder(tree);
  const large = new Map<Digest, number>();
  for (const { digest, size } of entries)
    if (digest !== undefined && size >= smallestHole) large.set(digest, size);
  const sparse = await egress.segments([...large].map(([object, size]) => ({ object, size })));
  const skipped = entries.filter(({ type }) => type === 'socket').length;
  let bytes = 0;
  for (const part of parts(entries, sparse)) bytes += lengthOf(part);
  const end = tarEnd(bytes);
  return { bytes: bytes + end.length, chunks: egress.stream(withEnd(parts(entries, sparse), end)), skipped };
}

function* parts(
  entries: readonly Entry[],
  sparse: ReadonlyMap<Digest, readonly Segment[]>,
): Generator<StreamPart> {
  for (const entry of entries) {
    const { digest, size, hardlink } = entry;
    const segments = digest === undefined || hardlink !== undefined ? undefined : sparse.get(digest);
    const header = tarMember(entry, segments === undefined ? {} : { sparse: segments });
    if (header === undefined) continue;
    yield header;
    if (digest === undefined || hardlink !== undefined) continue;
    const stored = segments === undefined ? size : segments.reduce((sum, { length }) => sum + length, 0);
    yield { object: digest, size, segments };
    const padding = (512 - (stored % 512)) % 512;
    if (padding > 0) yield zeros.subarray(0, padding);
  }
}

const zeros = Buffer.alloc(512);

function* withEnd(all: Iterable<StreamPart>, end: Uint8Array): Generator<StreamPart> {
  yield* all;
  yield end;
}

function lengthOf(part: StreamPart): number {
  if (part instanceof Uint8Array) return part.length;
  return part.segments === undefined ? part.size : part.segments.reduce((sum, { length }) => sum + length, 0);
}
