/** Work on many things, a few at a time. */

/**
 * `write` for each chunk, begun in order, while the next is made; at most `most` at a time. So a chunk has to be good until
 * the next but `most` is asked for.
 */
export async function writeBehind<T>(
  chunks: AsyncIterable<T>,
  write: (chunk: T) => Promise<void>,
  most = 1,
): Promise<void> {
  const writing: Promise<void>[] = [];
  try {
    for await (const chunk of chunks) {
      if (writing.length === most) await writing.shift();
      const written = write(chunk);
      written.catch(() => undefined); // seen when its turn comes
      writing.push(written);
    }
    for (const written of writing) await written;
  } catch (error) {
    await Promise.allSettled(writing);
    throw error;
  }
}

/**
 * Results in the order of the items. The first failure starts nothing more and is thrown once what is under way has
 * settled.
 */
export async function mapInOrder<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let [next, failed] = [0, false];
  const lane = async (): Promise<void> => {
    while (next < items.length && !failed) {
      const at = next++;
      try {
        results[at] = await work(items[at]!);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(width, items.length) }, lane));
  const lost = lanes.find((settled) => settled.status === 'rejected');
  if (lost !== undefined) throw lost.reason;
  return results;
}
