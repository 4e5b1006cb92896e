/** A tree as the parts of a tar stream: headers from the manifest, content from the objects, padding between. */
import type { Digest } from '../core/digest.ts';
import type { StreamPart } from '../store/egress/layout.ts';
import type { Egress, StreamChunk } from '../store/egress/stream.ts';
import { smallestHole } from '../store/egress/holes.ts';
import type { Segment } from '../store/egress/protocol.ts';
import { archiveOrder } from '../tree/archive-order.ts';
import type { Entry } from '../tree/entry.ts';
import { tarEnd, tarMember } from '../tree/tar/write.ts';

export interface TarStream {
  /** About how long the archive will be, for progress: headers are counted as two blocks each. */
  readonly estimate: number;
  readonly chunks: AsyncIterable<StreamChunk>;
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
  const estimate = entries.reduce(
    (sum, { size, hardlink }) => sum + 1024 + (hardlink === undefined ? size : 0),
    0,
  );
  return {
    estimate,
    skipped,
    chunks: egress.stream(parts(entries, sparse)),
  };
}

function* parts(
  entries: readonly Entry[],
  sparse: ReadonlyMap<Digest, readonly Segment[]>,
): Generator<StreamPart> {
  let bytes = 0;
  const count = <T extends StreamPart>(part: T): T => {
    bytes += lengthOf(part);
    return part;
  };
  for (const entry of entries) {
    const { digest, size, hardlink } = entry;
    const segments = digest === undefined || hardlink !== undefined ? undefined : sparse.get(digest);
    const header = tarMember(entry, segments === undefined ? {} : { sparse: segments });
    if (header === undefined) continue;
    yield count(header);
    if (digest === undefined || hardlink !== undefined) continue;
    yield count({ object: digest, size, segments });
    const padding = (512 - (bytes % 512)) % 512;
    if (padding > 0) yield count(paddings[padding]!);
  }
  yield tarEnd(bytes);
}

const paddings = Array.from({ length: 512 }, (_, length) => Buffer.alloc(length));

function lengthOf(part: StreamPart): number {
  if (part instanceof Uint8Array) return part.length;
  return part.segments === undefined ? part.size : part.segments.reduce((sum, { length }) => sum + length, 0);
}
