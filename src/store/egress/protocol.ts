/**
 * Reading many objects out in one stream: the main thread lays the stream out over slots of shared memory, workers
 * read each object's bytes into place and hash them, and finished slots leave in order. See stream.ts.
 */
export const plainSlots = { bytes: 1 << 20, count: 24 } as const;
/** Frames of 2 MiB are little larger than one over all (1 %), and quicker to pack: what they refer to is in the caches. */
export const packSlots = { bytes: 2 << 20, count: 12 } as const;
/** Half the tables of the usual level stay in a core's own cache beside such a frame: a tenth quicker, and 0.9 % larger. */
export const tablesAtLevel3 = { hashLog: 16, chainLog: 15 } as const;
/** What cannot be packed grows a little: ZSTD_COMPRESSBOUND of zstd.h, and more. */
export const packedSlotBytes: number = packSlots.bytes + (64 << 10);

/** Numbers per read: id of the file in the stream, flags, offset in shared memory, offset in the object, length, object's size. */
export const readWidth = 6;

/** `part`: a piece of a small file, all of which is read and hashed for it. */
export const flag = { first: 1, last: 2, part: 4 } as const;

export interface EgressSetup {
  readonly slots: Uint8Array;
  /** Packed slots; empty when nothing is packed. */
  readonly packed: Uint8Array;
  /** `<store>/objects`, absolute. */
  readonly objects: string;
}

export interface ReadBatch {
  readonly kind: 'read';
  readonly ticket: number;
  readonly reads: Float64Array;
  /** One digest for each read. */
  readonly digests: readonly string[];
}

/** One slot as a frame of zstd. Offsets and length in bytes. */
export interface PackBatch {
  readonly kind: 'pack';
  readonly ticket: number;
  readonly start: number;
  readonly length: number;
  /** In the memory of packed slots. */
  readonly target: number;
  readonly level: number;
}

export interface EgressAnswer {
  readonly ticket: number;
  /** Of a slot: its length when packed. */
  readonly packed?: number;
  readonly error?: {
    readonly code: 'E_OBJECT_DAMAGED' | 'E_OBJECT_MISSING' | 'E_IO';
    readonly object: string;
    readonly found: string;
  };
}
