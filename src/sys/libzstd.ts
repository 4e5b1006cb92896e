/**
 * The zstd library that Node is built with, called directly: it unpacks into memory that we give it and packs from one
 * piece of shared memory into another. Node's own codec hands out a new buffer for each
 * piece, and collecting those costs as much as the unpacking. It can be done without: where Node does not show the
 * library's functions, its codec serves.
 * Functions and structures: zstd.h, stable since 1.4.
 */
import { koffi } from './koffi.ts';

export interface ZstdDecoder extends Disposable {
  /** Unpacks until `input` is used up or `output` is full. */
  step(input: Uint8Array, output: Uint8Array): ZstdStep;
}

export interface ZstdStep {
  readonly read: number;
  readonly written: number;
  /** Every frame that was begun is unpacked and handed out. */
  readonly isBetween: boolean;
  /** What the library says is wrong with the input; nothing can follow. */
  readonly problem?: string;
}

/** `undefined` where the library cannot be called. */
export function openZstdDecoder(): ZstdDecoder | undefined {
  const library = (loaded ??= load());
  if (library === 'none') return undefined;
  const context = library.createDCtx();
  library.setParameter(context, windowLogMax, largestWindowLog);
  // ZSTD_inBuffer and ZSTD_outBuffer: address, size, position.
  const source = new BigUint64Array(new ArrayBuffer(24));
  const target = new BigUint64Array(new ArrayBuffer(24));
  return {
    step(input, output) {
      source.set([library.addressOf(input), BigInt(input.length), 0n]);
      target.set([library.addressOf(output), BigInt(output.length), 0n]);
      const result = library.decompressStream(context, target, source);
      if (library.isError(result) !== 0)
        return { read: 0, written: 0, isBetween: false, problem: library.getErrorName(result) };
      return { read: Number(source[2]), written: Number(target[2]), isBetween: result === 0 };
    },
    [Symbol.dispose]: () => void library.freeDCtx(context),
  };
}

export interface ZstdEncoder {
  /** One frame, with the sum of its content; its length. `target` must have room for what cannot be packed. */
  pack(source: Uint8Array, target: Uint8Array): number;
}

export interface ZstdSettings {
  readonly level: number;
  /** Base-two logarithms of the sizes of its tables, where those of the level are not wanted. */
  readonly hashLog?: number;
  readonly chainLog?: number;
}

/** `undefined` where the library cannot be called. Lives as long as its thread. */
export function openZstdEncoder({ level, hashLog, chainLog }: ZstdSettings): ZstdEncoder | undefined {
  const library = (loaded ??= load());
  if (library === 'none') return undefined;
  const context = library.createCCtx();
  library.setCParameter(context, parameters.level, level);
  library.setCParameter(context, parameters.checksum, 1);
  if (hashLog !== undefined) library.setCParameter(context, parameters.hashLog, hashLog);
  if (chainLog !== undefined) library.setCParameter(context, parameters.chainLog, chainLog);
  return {
    pack(source, target) {
      const length = library.compress2(context, target, target.length, source, source.length);
      if (library.isError(length) !== 0) throw new Error(`zstd: ${library.getErrorName(length)}`);
      return Number(length);
    },
  };
}

/** Whether `openZstdEncoder` and `openZstdDecoder` give something. */
export function canCallZstd(): boolean {
  return (loaded ??= load()) !== 'none';
}

/** ZSTD_c_compressionLevel, ZSTD_c_hashLog, ZSTD_c_chainLog, ZSTD_c_checksumFlag. */
const parameters = { level: 100, hashLog: 102, chainLog: 103, checksum: 201 } as const;
/** ZSTD_d_windowLogMax: windows of up to 2 GiB, as `zstd --long=31` makes them. */
const windowLogMax = 100;
const largestWindowLog = 31;

interface Library {
  addressOf(memory: Uint8Array): bigint;
  readonly createDCtx: () => unknown;
  readonly freeDCtx: (context: unknown) => unknown;
  readonly setParameter: (context: unknown, parameter: number, value: number) => unknown;
  readonly decompressStream: (
    context: unknown,
    target: BigUint64Array,
    source: BigUint64Array,
  ) => number | bigint;
  readonly createCCtx: () => unknown;
  readonly setCParameter: (context: unknown, parameter: number, value: number) => unknown;
  readonly compress2: (
    context: unknown,
    target: Uint8Array,
    capacity: number,
    source: Uint8Array,
    length: number,
  ) => number | bigint;
  readonly isError: (result: number | bigint) => number;
  readonly getErrorName: (result: number | bigint) => string;
}

let loaded: Library | 'none' | undefined;

function load(): Library | 'none' {
  const { load: open, address } = koffi();
  // A library beside the process would be a mixture: its inner calls go to Node's version.
  const process = open(null);
  const func = <T>(name: string, result: string, ...parameters: string[]): T =>
    process.func(`ZSTD_${name}`, result, parameters) as T;
  try {
    return {
      addressOf: (memory) => (memory.length === 0 ? 0n : address(memory)),
      createDCtx: func('createDCtx', 'void *'),
      freeDCtx: func('freeDCtx', 'size_t', 'void *'),
      setParameter: func('DCtx_setParameter', 'size_t', 'void *', 'int', 'int'),
      decompressStream: func('decompressStream', 'size_t', 'void *', 'void *', 'void *'),
      createCCtx: func('createCCtx', 'void *'),
      setCParameter: func('CCtx_setParameter', 'size_t', 'void *', 'int', 'int'),
      compress2: func('compress2', 'size_t', 'void *', 'void *', 'size_t', 'void *', 'size_t'),
      isError: func('isError', 'uint', 'size_t'),
      getErrorName: func('getErrorName', 'str', 'size_t'),
    };
  } catch {
    return 'none';
  }
}
