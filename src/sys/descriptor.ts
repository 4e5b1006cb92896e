/** Open files as resources, so that `using` closes them whatever happens. */
import { closeSync, constants, openSync } from 'node:fs';
import { toBytes, type ByteString } from '../core/bytes.ts';

/** A descriptor that is closed at the end of its scope. A detached mount disappears with it. */
export interface Descriptor extends Disposable {
  readonly fd: number;
}

export function descriptor(fd: number): Descriptor {
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
}

/** To lock it, to sync its file system, or to reach it whatever its path becomes. @throws Node's ENOENT, ENOTDIR, EACCES */
export function openDirectory(path: ByteString): Descriptor {
  return descriptor(openSync(toBytes(path), constants.O_RDONLY | constants.O_DIRECTORY));
}
