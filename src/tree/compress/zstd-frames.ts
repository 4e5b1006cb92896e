/**
 * Where zstd's frames end (RFC 8878, 3.1). The decoder takes one to three bytes of a next frame's magic number as
 * the end of the stream, in silence; following the frames' headers tells such a stream from a whole one.
 */
export interface FrameWalk {
  take(chunk: Uint8Array): void;
  /** Whether the bytes taken so far end with a frame. True of what is no zstd: the decoder says so itself. */
  isBetween(): boolean;
}

type Field = 'magic' | 'skippable' | 'descriptor' | 'block' | 'unknown';

const widths = { magic: 4, skippable: 4, descriptor: 1, block: 3, unknown: Infinity } as const;
const frameMagic = 0xfd2fb528;
const skippableMagic = 0x184d2a5;
const dictionaryIdBytes = [0, 1, 2, 4] as const;

export function walkFrames(): FrameWalk {
  let field: Field = 'magic';
  let value = 0;
  let gathered = 0;
  /** Bytes up to the next field. */
  let skip = 0;
  let checksum = 0;

  const next = (to: Field, after: number): void => {
    field = to;
    skip = after;
    value = 0;
    gathered = 0;
  };

  const read = (): void => {
    if (field === 'magic') {
      if (value === frameMagic) next('descriptor', 0);
      else next(Math.floor(value / 16) === skippableMagic ? 'skippable' : 'unknown', 0);
    } else if (field === 'skippable') {
      next('magic', value);
    } else if (field === 'descriptor') {
      checksum = (value & 4) === 0 ? 0 : 4;
      next('block', headerRest(value));
    } else {
      const isLast = (value & 1) === 1;
      const isRepeated = ((value >> 1) & 3) === 1;
      const content = isRepeated ? 1 : value >> 3;
      next(isLast ? 'magic' : 'block', content + (isLast ? checksum : 0));
    }
  };

  return {
    take(chunk) {
      for (let at = 0; at < chunk.length && field !== 'unknown';) {
        if (skip > 0) {
          const skipped = Math.min(skip, chunk.length - at);
          skip -= skipped;
          at += skipped;
          continue;
        }
        value += chunk[at++]! * 2 ** (8 * gathered++);
        if (gathered === widths[field]) read();
      }
    },
    isBetween: () => field === 'unknown' || (field === 'magic' && gathered === 0 && skip === 0),
  };
}

/** Length of what follows the descriptor: window, dictionary id, content size. */
function headerRest(descriptor: number): number {
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  const contentSize = sizeFlag === 0 ? Number(isSingleSegment) : 2 ** sizeFlag;
  return Number(!isSingleSegment) + dictionaryIdBytes[(descriptor & 3) as 0 | 1 | 2 | 3] + contentSize;
}
