/** Owners and permission bits as people write them, on the command line and in the configuration alike. */

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** The largest is no owner to the kernel: it stands for leaving one as it is. */
const largestId = 2 ** 32 - 2;

/** `1000:100`; `undefined` for anything else. */
export function parseOwner(text: string): Owner | undefined {
  const match = /^(\d{1,10}):(\d{1,10})$/.exec(text);
  const [uid, gid] = [Number(match?.[1]), Number(match?.[2])];
  return uid <= largestId && gid <= largestId ? { uid, gid } : undefined;
}

/** `755` and `0755`, in octal; `undefined` for anything else. */
export function parseMode(text: string): number | undefined {
  return /^[0-7]{3,4}$/.test(text) ? Number.parseInt(text, 8) : undefined;
}
