/** Variants under fsck: copies of an object's content under other inode metadata. Never the only copy, so a bad one just goes. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import type { Digest } from '../../core/digest.ts';
import { inStore } from '../layout.ts';
import type { Store } from '../store.ts';
import { hashFiles } from '../verify/hash-files.ts';
import type { Damage } from './report.ts';

export async function checkVariants(
  store: Store,
  imagesOf: (object: Digest) => readonly string[],
  options: { signal?: AbortSignal },
): Promise<Damage[]> {
  const files = listVariants(store);
  const damaged: Damage[] = [];
  await hashFiles(
    files,
    ({ file, digest, problem }) => {
      const [shard, rest] = file.split('/').slice(-3);
      const object = `${shard}${rest}`;
      if (digest === object) return;
      const what = problem === undefined ? `has content ${digest}` : `cannot be read (${problem})`;
      damaged.push({ kind: 'variant', id: variantId(store, file), problem: what, images: imagesOf(object) });
    },
    options,
  );
  return damaged;
}

export function removeVariant(store: Store, id: string): void {
  rmSync(`${inStore(store.root, 'variants')}/${id}`, { force: true });
}

function variantId(store: Store, file: string): string {
  return file.slice(inStore(store.root, 'variants').length + 1);
}

function listVariants(store: Store): string[] {
  const root = inStore(store.root, 'variants');
  if (!existsSync(root)) return [];
  return readdirSync(root).flatMap((shard) =>
    readdirSync(`${root}/${shard}`).flatMap((rest) =>
      readdirSync(`${root}/${shard}/${rest}`).map((meta) => `${root}/${shard}/${rest}/${meta}`),
    ),
  );
}
