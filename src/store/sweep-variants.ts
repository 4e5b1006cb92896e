/**
 * Variants that no hard link uses: copies of content the store has anyway, made again when a checkout needs them. They
 * go like everything else that nobody refers to, unless a checkout is making links this moment.
 */
import { lstatSync, readdirSync, unlinkSync } from 'node:fs';
import { fromText } from '../core/bytes.ts';
import { openDirectory } from '../sys/descriptor.ts';
import { namesIn, removeIfEmpty } from '../sys/directory.ts';
import { tryFlock } from '../sys/flock.ts';
import { inStore } from './layout.ts';

/**
 * @param before milliseconds since the epoch: what changed at or after it (by ctime) stays
 * @returns bytes on disk that were freed, or would be
 */
export function sweepVariants(
  root: string,
  before: number,
  { dryRun = false }: { dryRun?: boolean | undefined } = {},
): number {
  const top = inStore(root, 'variants');
  using directory = openDirectory(fromText(top));
  if (!dryRun && !tryFlock(directory.fd, 'exclusive')) return 0;
  let bytes = 0;
  for (const shard of readdirSync(top))
    for (const rest of readdirSync(`${top}/${shard}`)) {
      const home = `${top}/${shard}/${rest}`;
      for (const meta of namesIn(home)) {
        const stat = lstatSync(`${home}/${meta}`, { throwIfNoEntry: false });
        if (stat === undefined || stat.nlink > 1 || stat.ctimeMs >= before) continue;
        bytes += stat.blocks * 512;
        if (!dryRun) unlinkSync(`${home}/${meta}`);
      }
      if (!dryRun) removeIfEmpty(home);
    }
  return bytes;
}
