/** `cellar rm`: a reference goes; its images stay until gc finds that nothing else needs them. */
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import { parsePlatform, type Platform } from '../core/platform.ts';
import { parseSelector, type Reference } from '../core/reference.ts';
import { isPinned } from '../store/pins.ts';
import { planRemoval, platformsOf, type ReferenceRow } from '../store/references.ts';
import { readRecord } from '../store/resolve.ts';
import { noImage, notForPlatform } from '../store/missing.ts';
import { openStore, type Store } from '../store/store.ts';
import type { Context } from './context.ts';

export interface RmOptions {
  readonly reference: string;
  /** Only this platform. */
  readonly platform?: string | undefined;
  readonly dryRun?: boolean;
}

export interface RmResult {
  readonly removed: readonly {
    readonly reference: Reference;
    readonly platform: Platform;
    readonly image: Digest;
  }[];
  readonly dryRun: boolean;
}

/** @throws E_NOT_FOUND, E_IN_USE when it is pinned, E_USAGE for what is no reference, E_STORE_READ_ONLY */
export async function rm(context: Context, options: RmOptions): Promise<RmResult> {
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
  const dryRun = options.dryRun === true;
  using store = openStore(context.storeRoot);
  return store.rows.update(() => {
    const rows = chosenRows(store, options.reference, platform);
    const at = Date.now();
    const removed = rows.map(({ reference, platform: on, image }) => ({ reference, platform: on, image }));
    const changes = dryRun ? [] : rows.flatMap((row) => planRemoval(store.rows, row, at));
    return { changes, result: { removed, dryRun } };
  });
}

function chosenRows(store: Store, text: string, platform: Platform | undefined): ReferenceRow[] {
  const { reference, digest } = chosen(store, text);
  const named = platformsOf(store, reference).filter(
    (row) => digest === undefined || row.image === digest || readRecord(store, row.image).content === digest,
  );
  if (named.length === 0) throw noImage(store, digest === undefined ? reference : text);
  const rows = named.filter((row) => platform === undefined || row.platform === platform);
  if (rows.length === 0) throw notForPlatform(store, named, platform!);
  if (isPinned(store, reference)) {
    const details = { what: reference, users: 'a pin' };
    throw new CellarError('E_IN_USE', { details, hint: `'cellar unpin ${reference}' takes it away` });
  }
  return rows;
}

/** A digest is no name, except that `cafebabe` may also be one. */
function chosen(store: Store, text: string): { reference: Reference; digest?: Digest } {
  const selector = parseSelector(text);
  if (selector.by === 'digest') {
    if (platformsOf(store, `${text}:latest`).length > 0) return { reference: `${text}:latest` };
  } else if (selector.earlier === 0) return selector;
  throw new CellarError('E_USAGE', {
    details: { problem: `'${text}' is not a reference that could be removed` },
    hint: "name a reference of 'cellar ls'; what no reference needs is removed by 'cellar gc'",
  });
}
