/**
 * Where transfers lie while they are under way: `downloads/`, in files that are named by a digest of what is fetched. What
 * was broken off stays to be gone on with, until nobody has for a while.
 */
import { sha256 } from '../core/digest.ts';
import { makeDirectory } from '../sys/directory.ts';
import { inStore } from './layout.ts';

/** Made on first use. */
export function downloadsDirectory(root: string): string {
  const directory = inStore(root, 'downloads');
  makeDirectory(directory, 0o700);
  return directory;
}

/** A file name for a URL, which shows nothing of it. */
export function downloadKey(text: string): string {
  return sha256(text).slice(0, 32);
}
