/** write(2) may write less than it was given; what is left over is written again. */
import { writeSync } from 'node:fs';

/** At `position`, or where the last write to `fd` ended. @throws what write(2) does */
export function writeFully(fd: number, content: Uint8Array, position?: number): void {
  for (let done = 0; done < content.length;) {
    const at = position === undefined ? null : position + done;
    done += writeSync(fd, content, done, content.length - done, at);
  }
}
