/** Chance that a seed repeats. */

/** Pseudo-random numbers in [0, 1) from a seed (mulberry32). */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Bytes that do not compress to nothing and differ with the seed's state. */
export function randomBytes(size: number, random: () => number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  for (let at = 0; at < size; at += 4) {
    const word = Math.floor(random() * 2 ** 32);
    for (let index = at; index < Math.min(size, at + 4); index++) bytes[index] = word >>> ((index - at) * 8);
  }
  return bytes;
}
