/** `cellar show`: one image, where it came from, and what keeps it. */
import { toText } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { parsePlatform } from '../core/platform.ts';
import type { ImageRecord } from '../core/record.ts';
import { listCheckouts } from '../store/checkouts.ts';
import { listDeployments, type DeploymentRow } from '../store/deployments.ts';
import { isPinned } from '../store/pins.ts';
import { listReferences } from '../store/references.ts';
import { resolveImage } from '../store/resolve.ts';
import { openStore } from '../store/store.ts';
import { treeObjects } from '../store/trees.ts';
import type { Context } from './context.ts';

export interface ShowOptions {
  readonly reference: string;
  readonly platform?: string | undefined;
}

export interface ShowResult extends Omit<ImageRecord, 'content'> {
  readonly reference?: string;
  /** Digest of the record, and of what it describes. */
  readonly image: Digest;
  readonly tree?: Digest;
  readonly content: Digest;
  /** Different contents; of trees. */
  readonly objects?: number;
  /** Every reference that names it now. */
  readonly references: readonly string[];
  readonly pinned: boolean;
  /** Directories where it is checked out. */
  readonly checkouts: readonly string[];
  /** Versions in service, or kept to be rolled back to. */
  readonly deployments: readonly Pick<DeploymentRow, 'target' | 'version' | 'state'>[];
}

/** `created` is in milliseconds since the epoch. @throws E_NOT_FOUND, E_PLATFORM_AMBIGUOUS, E_DIGEST_AMBIGUOUS */
export async function show(context: Context, options: ShowOptions): Promise<ShowResult> {
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
  using store = openStore(context.storeRoot, { readOnly: true });
  const { reference, digest, record } = resolveImage(store, options.reference, { platform });
  const references = listReferences(store)
    .filter(({ image }) => image === digest)
    .map((row) => row.reference);
  const isTree = record.kind === 'tree';
  return {
    ...(reference === undefined ? {} : { reference: `${reference}${earlier(options.reference)}` }),
    image: digest,
    ...record,
    created: record.created * 1000,
    ...(isTree ? { tree: record.content, objects: treeObjects(store, record.content).length } : {}),
    references,
    pinned: references.some((name) => isPinned(store, name)),
    checkouts: listCheckouts(store)
      .filter(({ image, tree }) => (image ?? tree) === (image === undefined ? record.content : digest))
      .map(({ path }) => toText(path)),
    deployments: listDeployments(store)
      .filter(({ image, state }) => image === digest && state !== 'failed')
      .map(({ target, version, state }) => ({ target, version, state })),
  };
}

/** Which value of the reference it was, where not the one of now. */
function earlier(text: string): string {
  return /@\{\d+\}$/.exec(text)?.[0] ?? '';
}
