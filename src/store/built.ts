/** What preparations came to, by the digest of all they depended on, so that the same inputs are not worked on twice. */
import type { Digest } from '../core/digest.ts';
import type { ImageRecord } from '../core/record.ts';
import type { Store } from './store.ts';
import { treeIsWhole } from './trees.ts';

export interface BuiltRow {
  readonly image: Digest;
}

/** Absent when it was never built, or gc has taken it. */
export function findBuilt(store: Store, inputs: Digest): { image: Digest; record: ImageRecord } | undefined {
  const image = store.rows.get<BuiltRow>('built', inputs)?.image;
  const record = image === undefined ? undefined : store.rows.get<ImageRecord>('image', image);
  if (image === undefined || record === undefined || !treeIsWhole(store, record.content)) return undefined;
  return { image, record };
}

/** Rows whose image is gone go too: they are of no use to anybody. */
export function rememberBuilt(store: Store, inputs: Digest, row: BuiltRow): void {
  store.rows.update(() => {
    const gone = store.rows
      .list<BuiltRow>('built')
      .filter(({ value }) => store.rows.get('image', value.image) === undefined);
    return {
      changes: [
        ...gone.map(({ key }) => ({ kind: 'built' as const, key, value: undefined })),
        { kind: 'built', key: inputs, value: row },
      ],
      result: undefined,
    };
  });
}
