/** What a user says of how a tree is to be made visible: `METHOD`, or `METHOD:PLACE` for methods that make volumes. */
import { CellarError } from '../core/errors.ts';
import { methodNames, type MethodName } from './port.ts';

export interface MethodOption {
  readonly method: MethodName | 'auto';
  /** For the method to read. */
  readonly place: string | undefined;
}

const placed = new Set<string>(['lvm', 'zfs']);

/** @throws E_USAGE for a method that there is not, and a place where there is none to choose */
export function parseMethod(text: string): MethodOption {
  const colon = text.indexOf(':');
  const name = colon === -1 ? text : text.slice(0, colon);
  const method = (['auto', ...methodNames] as const).find((known) => known === name);
  if (method === undefined)
    throw new CellarError('E_USAGE', {
      details: { problem: `'${name}' is no checkout method` },
      hint: `choose one of auto, ${methodNames.join(', ')}`,
    });
  if (colon === -1) return { method, place: undefined };
  if (!placed.has(name))
    throw new CellarError('E_USAGE', {
      details: { problem: `method ${name} takes nothing after a colon` },
      hint: 'lvm:GROUP, lvm:GROUP/POOL and zfs:DATASET say where volumes are made',
    });
  return { method, place: text.slice(colon + 1) };
}
