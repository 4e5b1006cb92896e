/**
 * What a store, a configuration and this program know that could stand for a value. A Tab is no place for an error: what
 * cannot be read completes to nothing.
 */
import { relative } from 'node:path';
import type { LoadedConfig } from '../config/load.ts';
import type { Context } from '../ops/context.ts';
import type { Completes } from './spec.ts';

export interface Candidate {
  readonly value: string;
  readonly summary: string;
}

export interface Places {
  readonly store: string;
  /** Of the configuration, where one was named. */
  readonly config?: string | undefined;
  /** The argument before the one that is typed. */
  readonly before?: string | readonly string[] | undefined;
}

export async function knownValues(
  completes: Completes,
  typed: string,
  places: Places,
): Promise<readonly Candidate[]> {
  if (completes === 'file' || completes === 'directory') return [left(completes)];
  try {
    return await readers[completes](places, typed);
  } catch {
    return [];
  }
}

const readers: Readonly<
  Record<Exclude<Completes, 'file' | 'directory'>, (places: Places, typed: string) => Promise<Candidate[]>>
> = {
  none: async () => [],
  reference: references,
  'reference-or-target': async (places) => [...(await references(places)), ...(await deployed(places))],
  'directory-or-target': async (places) => [...(await deployed(places).catch(() => [])), left('directory')],
  checkout: async (places, typed) => asTyped(await checkedOut(places), typed),
  releasable: async (places, typed) => asTyped(await checkedOut(places, { free: true }), typed),
  deployed,
  async version({ before, ...places }) {
    const { deployments } = await import('../ops/deployments.ts');
    const found = await deployments(contextOf(places), { target: String(before) });
    return found.deployments
      .filter(({ state }) => state === 'retired')
      .map(({ version, reference }) => ({ value: String(version), summary: reference }));
  },
  key: (places) => keys(places),
  signer: async (places) => [...(await keys(places, { secret: true }).catch(() => [])), left('file')],
  async target(places, typed) {
    const { targetKinds } = await import('../deploy/targets.ts');
    const kind = targetKinds.find((one) => typed.startsWith(`${one.kind}:/`));
    if (kind !== undefined) return [left('file')];
    const kinds = targetKinds.map((one) => ({ value: `${one.kind}:`, summary: one.summary }));
    const there = await deployed(places).catch(() => []);
    return [...there, ...kinds];
  },
  async image(places) {
    const { images, groups } = await configOf(places);
    const names = images.map(({ reference }) => reference.replace(/:latest$/, ''));
    return unique([...names, ...groups.keys()]);
  },
  async deployment(places) {
    const { deployments } = await configOf(places);
    return unique(deployments.flatMap(({ name, groups }) => [name, ...groups]));
  },
};

async function references(places: Places): Promise<Candidate[]> {
  const { ls } = await import('../ops/ls.ts');
  const { images } = await ls(contextOf(places));
  return unique(images.flatMap(({ reference }) => reference ?? []));
}

async function checkedOut(places: Places, { free = false } = {}): Promise<string[]> {
  const { checkouts } = await import('../ops/checkouts.ts');
  const found = await checkouts(contextOf(places));
  return found.filter(({ deployment }) => deployment === undefined || !free).map(({ path }) => path);
}

/** Seen from here, where the path that is typed begins here. */
function asTyped(paths: readonly string[], typed: string): Candidate[] {
  if (typed === '' || typed.startsWith('/')) return unique(paths);
  const dot = typed.startsWith('./') ? './' : '';
  return unique(paths.map((path) => `${dot}${relative(process.cwd(), path)}`));
}

async function keys(places: Places, { secret = false } = {}): Promise<Candidate[]> {
  const { listKeys } = await import('../ops/keys.ts');
  const found = (await listKeys(contextOf(places))).filter((key) => key.secret || !secret);
  return found.map(({ fingerprint, user }) => ({ value: fingerprint, summary: user }));
}

async function deployed(places: Places): Promise<Candidate[]> {
  const { deployments } = await import('../ops/deployments.ts');
  const found = await deployments(contextOf(places));
  return unique(found.deployments.map(({ target }) => target));
}

async function configOf({ config }: Places): Promise<LoadedConfig> {
  const { loadConfig } = await import('../config/load.ts');
  return loadConfig(config);
}

function contextOf({ store }: Places): Context {
  return { storeRoot: store, events: () => undefined, signal: new AbortController().signal };
}

/** For the shell itself to complete. */
function left(to: 'file' | 'directory'): Candidate {
  return { value: `:${to}`, summary: '' };
}

function unique(values: readonly string[]): Candidate[] {
  return [...new Set(values)].map((value) => ({ value, summary: '' }));
}
