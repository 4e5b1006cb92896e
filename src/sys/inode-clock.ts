/**
 * The clock that stamps inodes is a coarse one: it runs up to one tick behind the clock that programs read. Who wants
 * to know whether an inode changed after a moment has to leave that much between the moment and what came before it.
 */

/** Milliseconds; a tick at the lowest rate the kernel is built with, 100 a second. */
const lag = 10;

/**
 * Waits, about a hundredth of a second, until whatever happens to an inode from now on is told apart from what has
 * happened to it so far. Returns the moment for {@link isUnchangedSince}, in milliseconds since the epoch.
 */
export function inodeMoment(): number {
  Atomics.wait(sleeper, 0, 0, lag + 2);
  return Date.now();
}

/** True when the inode surely has not changed since `moment`, one of {@link inodeMoment}. No one can set ctime back. */
export function isUnchangedSince(moment: number, stat: { ctime: number; ctimeNsec: number }): boolean {
  return stat.ctime * 1000 + stat.ctimeNsec / 1e6 < moment - lag;
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));
