/**
 * Where transfers lie while they are under way: `downloads/`, in files that are named by a digest of what is fetched. What
 * was broken off stays to be gone on with, until nobody has for a while.
 */
import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { sha256 } from '../core/digest.ts';
import { makeDirectory } from '../sys/directory.ts';
import { inStore } from './layout.ts';

/** Made on first use. */
export function downloadsDirectory(root: string): string {
  const directory = inStore(root, 'downloads');
  makeDirectory(directory, 0o700);
  return directory;
}

/**
 * Remove parts of transfers that nobody has continued since `before` (milliseconds since the epoch).
 * @returns bytes on disk that were freed, or would be
 */
export function sweepDownloads(
  root: string,
  before: number,
  { dryRun = false }: { dryRun?: boolean | undefined } = {},
): number {
  const directory = downloadsDirectory(root);
  let bytes = 0;
  for (const name of readdirSync(directory)) {
    if (!/\.(?:part|json~?)$/.test(name)) continue;
    const file = `${directory}/${name}`;
    const stat = lstatSync(file, { throwIfNoEntry: false });
    if (stat === undefined || stat.ctimeMs >= before) continue;
    bytes += stat.blocks * 512;
    // Its transfer may end this moment: no lock keeps it from that.
    if (!dryRun) rmSync(file, { force: true });
  }
  return bytes;
}

/** A file name for a URL, which shows nothing of it. */
export function downloadKey(text: string): string {
  return sha256(text).slice(0, 32);
}
