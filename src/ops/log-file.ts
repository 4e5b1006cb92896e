/** Where what commands say is kept: in the store, one file for each reference, written anew each time. */
import type { Reference } from '../core/reference.ts';
import { inStore } from '../store/layout.ts';
import type { Store } from '../store/store.ts';

/** A reference may be longer than a name can be. */
const longest = 200;

export function logFileOf({ root }: Store, verb: 'build' | 'compose', reference: Reference): string {
  const name = reference.replaceAll(/[^a-zA-Z0-9._:-]/g, '_').slice(0, longest);
  return `${inStore(root, 'logs')}/${verb}-${name}.log`;
}
