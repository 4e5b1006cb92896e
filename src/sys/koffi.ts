/** The foreign-function interface: loaded on first use, since most of a command's start is what it loads. */
import { createRequire } from 'node:module';

export interface Koffi {
  /** `null` is the running process, with all that Node is linked with. */
  readonly load: (path: null) => {
    func(name: string, result: string, parameters: readonly string[]): unknown;
  };
  /** Of the last call on this thread. */
  readonly errno: () => number;
  readonly address: (memory: Uint8Array) => bigint;
}

export function koffi(): Koffi {
  return createRequire(import.meta.url)('koffi') as Koffi;
}
