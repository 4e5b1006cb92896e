/** A tree as the parts of a tar stream: headers from the manifest, content from the objects, padding between. */
import type { Digest } from '../../core/digest.ts';
import type { StreamPart } from '../../store/egress/layout.ts';
import type { Egress, StreamChunk } from '../../store/egress/stream.ts';
import { smallestHole } from '../../store/egress/holes.ts';
import type { Store } from '../../store/store.ts';
import { treeEntries, treeRow } from '../../store/trees.ts';
import { archiveOrder } from '../../tree/archive-order.ts';
import { tarEnd, tarMember } from '../../tree/tar/write.ts';

export interface TarStream {
  /** About how long the archive will be, for progress: headers are counted as two blocks each. */
  readonly estimate: number;
  readonly chunks: AsyncIterable<StreamChunk>;
  /** Entries that tar cannot hold; known when all chunks have gone by. */
  skipped(): number;
}

/** The manifest is read as the archive is laid out, so the first bytes go before the last entry is known. */
export function tarStream(store: Store, egress: Egress, tree: Digest): TarStream {
  const { files, bytes } = treeRow(store, tree);
  let skipped = 0;

  function* parts(): Generator<StreamPart> {
    let length = 0;
    const count = <T extends StreamPart>(part: T): T => {
      length += lengthOf(part);
      return part;
    };
    for (const entry of archiveOrder(treeEntries(store, tree))) {
      const { size, hardlink } = entry;
      const object = hardlink === undefined ? entry.digest : undefined;
      const sparse = object === undefined || size < smallestHole ? undefined : egress.segments(object, size);
      const header = tarMember(entry, sparse === undefined ? {} : { sparse });
      if (header === undefined) {
        skipped++;
        continue;
      }
      yield count(header);
      if (object === undefined) continue;
      yield count({ object, size, segments: sparse });
      const padding = (512 - (length % 512)) % 512;
      if (padding > 0) yield count(paddings[padding]!);
    }
    yield tarEnd(length);
  }

  return { estimate: bytes + files * 1024, chunks: egress.stream(parts()), skipped: () => skipped };
}

const paddings = Array.from({ length: 512 }, (_, length) => Buffer.alloc(length));

function lengthOf(part: StreamPart): number {
  if (part instanceof Uint8Array) return part.length;
  return part.segments === undefined ? part.size : part.segments.reduce((sum, { length }) => sum + length, 0);
}
