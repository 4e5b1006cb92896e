/** Memory whose address is a multiple of the page size, as direct I/O (O_DIRECT, open(2)) wants it. */
import { koffi } from './koffi.ts';

export const pageBytes = 4096;

/** `shared`: with worker threads, which are handed the view. */
export function pageAligned(bytes: number, { shared = false }: { readonly shared?: boolean } = {}): Buffer {
  const memory = shared
    ? Buffer.from(new SharedArrayBuffer(bytes + pageBytes))
    : Buffer.allocUnsafeSlow(bytes + pageBytes);
  const beyond = Number(koffi().address(memory) % BigInt(pageBytes));
  const start = beyond === 0 ? 0 : pageBytes - beyond;
  return memory.subarray(start, start + bytes);
}
