/**
 * Verbs that take an image also take what is in service at a target, by the target's name: `machine:web1` as it is
 * now, running or not. Containers' own mounts are in their own namespace, and mount points here are not entered.
 */
import { commitDirectory } from './commit.ts';
import type { Context } from './context.ts';
import { retried } from './retried.ts';
import { targetDirectory } from './target-directory.ts';

/**
 * What a verb that takes references is to be given: for a target, the digest of an image of what is in service there,
 * which is stored until `stack` is disposed; else the text as it is. A file that changes while it is read is read again.
 * @throws as `commit`
 */
export async function referenceOf(context: Context, text: string, stack: DisposableStack): Promise<string> {
  if ((await targetDirectory(text)) === undefined) return text;
  const work = async (): Promise<string> => {
    const { image } = await commitDirectory(context, { directory: text, references: [], stack });
    if (image === undefined) throw new Error('a commit that is no dry run has an image');
    return image;
  };
  return await retried(work, { tries: 3, pauseMs: 300, signal: context.signal, events: context.events });
}
