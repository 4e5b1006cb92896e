/** What the main thread and the thread that unpacks zstd say to each other. Memory is shared; only places in it travel. */

/** Bytes of one piece of packed input, and how many there are. */
export const pieceBytes = 1 << 20;
export const pieceCount = 4;

export interface UnpackSetup {
  /** `pieceCount` pieces. */
  readonly packed: SharedArrayBuffer;
}

export type ToUnpack =
  /** A piece of the input, in order. */
  | { readonly type: 'packed'; readonly piece: number; readonly length: number }
  /** Memory to be filled, in order. */
  | {
      readonly type: 'room';
      readonly memory: SharedArrayBuffer;
      readonly start: number;
      readonly length: number;
    }
  /** No more pieces will come. */
  | { readonly type: 'end' };

export type Unpacked =
  /** A piece may be used again. */
  | { readonly type: 'taken'; readonly piece: number }
  /** The next room is full. */
  | { readonly type: 'filled' }
  /** That is all. The next room has the last `used` bytes; `taken` are the bytes of input. */
  | { readonly type: 'over'; readonly used: number; readonly taken: number; readonly isBetween: boolean }
  /** The input is broken `taken` bytes from its beginning. */
  | { readonly type: 'broken'; readonly taken: number; readonly problem: string };
