/** "Not found" says which store was searched; here it also learns which other store of this user has it. */
import { existsSync } from 'node:fs';
import { CellarError } from '../core/errors.ts';
import { otherStores } from './store-root.ts';

/** The same error, with a hint to the store that was probably meant. */
export async function explainMissing(error: CellarError): Promise<CellarError> {
  const { store, reference, platform } = error.details;
  // The image is here; what is missing is its platform.
  if (platform !== undefined) return error;
  if ((error.code !== 'E_NOT_FOUND' && error.code !== 'E_NO_STORE') || typeof store !== 'string')
    return error;
  const stores = otherStores(store, { env: process.env, uid: process.geteuid?.() ?? 0 }).filter((root) =>
    existsSync(`${root}/format`),
  );
  if (stores.length === 0) return error;
  const having = typeof reference === 'string' ? await storesHaving(reference, stores) : stores;
  if (having.length === 0) return error;
  const hint =
    typeof reference === 'string'
      ? `${having.join(' and ')} has it: add --store ${having[0]}`
      : `there is one at ${having.join(' and ')}: add --store ${having[0]}`;
  return new CellarError(error.code, { details: error.details, hint, cause: error.cause });
}

async function storesHaving(reference: string, stores: readonly string[]): Promise<string[]> {
  const { hasImage } = await import('../ops/has-image.ts');
  return stores.filter((root) => hasImage(root, reference));
}
