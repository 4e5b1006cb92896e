/** `cellar cat`: the content of one file. It is hashed before its first byte is handed on. */
import { fromShown, fromText, toText } from '../core/bytes.ts';
import { EMPTY_DIGEST, type Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import { parsePlatform } from '../core/platform.ts';
import { openStore } from '../store/store.ts';
import { leaseTree } from '../store/lease.ts';
import { readTree } from '../store/trees.ts';
import type { Entry } from '../tree/entry.ts';
import { findEntry, followPath, normalPath } from '../tree/lookup.ts';
import type { Context } from './context.ts';
import { objectChunks } from './object-chunks.ts';
import { resolveTree } from './resolve-tree.ts';

export interface CatOptions {
  readonly reference: string;
  /** Symlinks in it are followed, within the tree. */
  readonly path: string;
  readonly platform?: string | undefined;
  /** Takes the content; a chunk is valid until the promise resolves. */
  readonly write: (chunk: Uint8Array) => Promise<void>;
}

export interface CatResult {
  readonly reference: string;
  readonly tree: Digest;
  /** Where the symlinks led. */
  readonly path: string;
  readonly size: number;
  readonly sha256: Digest;
}

/** @throws E_NOT_FOUND, E_PATH_NOT_FOUND, E_USAGE for what is no regular file, E_OBJECT_DAMAGED, E_OBJECT_MISSING */
export async function cat(context: Context, options: CatOptions): Promise<CatResult> {
  const { reference, write } = options;
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
  using store = openStore(context.storeRoot);
  const { tree } = await resolveTree(context, store, reference, { platform });
  using _lease = await leaseTree(store, tree, context.signal);
  const entry = findFile(readTree(store, tree), options);
  const { size, digest } = entry;
  if (digest !== undefined)
    for await (const chunk of objectChunks(store, digest, context.signal)) await write(chunk);
  return { reference, tree, path: toText(entry.path), size, sha256: digest ?? EMPTY_DIGEST };
}

function findFile(entries: readonly Entry[], { reference, path }: CatOptions): Entry {
  const bytes = fromText(path);
  const entry = followPath(entries, bytes) ?? followPath(entries, fromShown(path));
  if (entry?.type === 'file') return entry;
  if (entry !== undefined) {
    const problem = `${toText(entry.path)} is a ${entry.type}, not a regular file`;
    throw new CellarError('E_USAGE', {
      details: { problem },
      hint: `'cellar files ${reference} ${path}' shows it`,
    });
  }
  const link = findEntry(entries, normalPath(bytes));
  const hint = link && `it is a symlink to ${toText(link.target ?? '')}, which leads nowhere in the image`;
  throw new CellarError('E_PATH_NOT_FOUND', {
    details: { path, reference },
    ...(hint === undefined ? {} : { hint }),
  });
}
