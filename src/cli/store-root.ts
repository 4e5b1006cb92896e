/** Which store is meant: `--store`, else `$CELLAR_STORE`, else the default of the calling user. */
import { resolve } from 'node:path';

export interface StoreQuery {
  readonly store?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
}

export const systemStore = '/var/lib/cellar';

export function storeRoot({ store, env, uid }: StoreQuery): string {
  const named = store ?? env['CELLAR_STORE'];
  if (named !== undefined && named !== '') return resolve(named);
  return uid === 0 ? systemStore : (userStore(env) ?? systemStore);
}

/** The stores a person may have meant instead. */
export function otherStores(searched: string, { env, uid }: Omit<StoreQuery, 'store'>): string[] {
  const candidates = [storeRoot({ env, uid }), systemStore, userStore(env)];
  return [...new Set(candidates)].filter((root) => root !== undefined && root !== searched) as string[];
}

/** XDG Base Directory Specification: relative values are ignored. */
function userStore(env: StoreQuery['env']): string | undefined {
  const { XDG_DATA_HOME: data, HOME: home } = env;
  if (data?.startsWith('/') === true) return `${data}/cellar`;
  return home?.startsWith('/') === true ? `${home}/.local/share/cellar` : undefined;
}
