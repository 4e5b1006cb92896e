/** `cellar history`: what a reference named before, newest first. */
import type { Digest } from '../core/digest.ts';
import type { CellarError } from '../core/errors.ts';
import { parsePlatform, type Platform } from '../core/platform.ts';
import type { ImageRecord } from '../core/record.ts';
import { parseReference, type Reference } from '../core/reference.ts';
import { noImage, notForPlatform } from '../store/missing.ts';
import { platformsOf, referenceHistory, type HistoryRow } from '../store/references.ts';
import { openStore, type Store } from '../store/store.ts';
import type { Context } from './context.ts';

export interface HistoryOptions {
  readonly reference: string;
  readonly platform?: string | undefined;
}

export interface HistoryValue {
  /** What names this value on its platform: `debian:12@{2}`. Absent for a removal. */
  readonly name?: string;
  readonly platform: Platform;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly action: HistoryRow['action'];
  readonly image?: Digest;
  readonly tree?: Digest;
  readonly bytes?: number;
  /** Whether the image is still in the store. */
  readonly kept: boolean;
}

export interface HistoryResult {
  readonly reference: Reference;
  /** False when it was removed. */
  readonly present: boolean;
  readonly history: readonly HistoryValue[];
}

/** @throws E_NOT_FOUND when there never was such a reference, E_REFERENCE_INVALID */
export async function history(context: Context, options: HistoryOptions): Promise<HistoryResult> {
  const reference = parseReference(options.reference);
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
  using store = openStore(context.storeRoot, { readOnly: true });
  const rows = referenceHistory(store, reference, platform);
  if (rows.length === 0) throw unknown(store, reference, platform);
  const counts = new Map<Platform, number>();
  const present = new Set(platformsOf(store, reference).map((row) => row.platform));
  const values = rows.map((row): HistoryValue => {
    const { platform: on, at, action, image } = row;
    if (image === undefined) return { platform: on, at, action, kept: false };
    // Of a reference that was removed nothing is the value of now, and the last it had the one before.
    const index = counts.get(on) ?? (present.has(on) ? 0 : 1);
    counts.set(on, index + 1);
    const record = store.rows.get<ImageRecord>('image', image);
    const facts = record === undefined ? {} : { tree: record.content, bytes: record.bytes };
    return {
      name: index === 0 ? reference : `${reference}@{${index}}`,
      ...{ platform: on, at, action, image, kept: record !== undefined },
      ...facts,
    };
  });
  return { reference, present: present.size > 0, history: values };
}

function unknown(store: Store, reference: Reference, platform: Platform | undefined): CellarError {
  const others = platform === undefined ? [] : referenceHistory(store, reference);
  return others.length === 0 ? noImage(store, reference) : notForPlatform(store, others, platform!);
}
