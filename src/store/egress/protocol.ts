/**
 * Reading many objects out in one stream: the main thread lays the stream out over slots of shared memory, workers
 * read each object's bytes into place and hash them, and finished slots leave in order. See stream.ts.
 */
export const slotBytes = 1 << 20;
export const slotCount = 24;

/** Numbers per read: id of the file in the stream, flags, offset in shared memory, offset in the object, length, object's size. */
export const readWidth = 6;

export const flag = { first: 1, last: 2 } as const;

export interface EgressSetup {
  readonly slots: SharedArrayBuffer;
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

export interface ScanBatch {
  readonly kind: 'scan';
  readonly ticket: number;
  readonly digests: readonly string[];
  readonly sizes: readonly number[];
}

export interface EgressAnswer {
  readonly ticket: number;
  /** Of a scan: the data segments of each object, `undefined` where it has no hole worth telling. */
  readonly segments?: readonly (readonly Segment[] | undefined)[];
  readonly error?: {
    readonly code: 'E_OBJECT_DAMAGED' | 'E_OBJECT_MISSING' | 'E_IO';
    readonly object: string;
    readonly found: string;
  };
}

export interface Segment {
  readonly offset: number;
  readonly length: number;
}
