/** What the guests work on: a disk with a store, two versions of an application, and one of them in service. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cellar, cellarOk, cellarProgram } from '../support/cellar.ts';
import { mountDisk } from './disks.ts';

export interface Site {
  readonly file: string;
  /** Where the disk is mounted, here and in guests. */
  readonly at: string;
  readonly store: string;
  /** `dir:` target that is switched, and its path. */
  readonly target: string;
  readonly place: string;
}

export const names = ['a', 'b', 'deep/c', 'deep/er/d'];

/** Fills the disk. Each file of a version holds its number, many times, so that it takes blocks of its own. */
export async function fillSite(file: string, at: string): Promise<Site> {
  await using _mounted = await mountDisk(file, at);
  const place = join(at, 'app');
  const site: Site = { file, at, store: join(at, 'store'), target: `dir:${place}`, place };
  const { store } = site;
  for (const version of ['1', '2']) {
    const tree = join(at, `tree-${version}`);
    mkdirSync(join(tree, 'deep/er'), { recursive: true });
    for (const name of names) writeFileSync(join(tree, name), version.repeat(9000));
    await cellarOk(['import', tree, `app:${version}`], { store });
  }
  await cellarOk(['deploy', 'app:1', site.target, '--method', 'copy', '--on-change', handler(site)], {
    store,
  });
  // After a reboot these have to come back with what was written to them.
  for (const method of ['composefs', 'overlay']) {
    const directory = join(at, `${method}-checkout`);
    await cellarOk(['checkout', 'app:1', directory, '--writable', '--method', method], { store });
    writeFileSync(join(directory, 'own'), method);
  }
  return site;
}

/** Notes, on the medium, the version that is in service. */
export function handler({ at, place }: Pick<Site, 'at' | 'place'>): string {
  return `head -c 1 ${place}/a >>${at}/fired && sync ${at}/fired`;
}

/** Words of a shell for the product in the guest. */
export function inGuest({ store }: Site, ...args: readonly string[]): string {
  return `CELLAR_STORE=${store} ${cellarProgram} ${args.map((word) => `'${word}'`).join(' ')}`;
}

/**
 * After the power came back, on the mounted disk: one version is in service, whole; the next deployment of it changes
 * nothing but what is owed, and the last handler that ran saw it; the store is sound.
 * @returns the version
 */
export async function checkSite({ store, target, place, at }: Site, when: string): Promise<string> {
  const contents = names.map((name) => readFileSync(join(place, name), 'latin1'));
  const version = contents[0]?.[0] ?? '';
  assert.match(version, /^[12]$/, when);
  assert.deepEqual(
    contents,
    names.map(() => version.repeat(9000)),
    `${when}: ${readlinkSync(place)} is old or new, and whole`,
  );
  const again = await cellarOk(
    ['deploy', `app:${version}`, target, '--method', 'copy', '--on-change', handler({ at, place })],
    { store },
  );
  assert.equal(again['change'], 'unchanged', when);
  assert.equal(readFileSync(join(at, 'fired'), 'latin1').at(-1), version, `${when}: its handler has run`);
  const listed = await cellarOk(['deployments', target], { store });
  assert.ok(!JSON.stringify(listed).includes('"owed":true'), when);
  const checked = await cellar(['--json', 'fsck'], { store });
  assert.equal(checked.code, 0, `${when}: ${checked.stdout}`);
  assert.deepEqual(
    readdirSync(join(store, 'tmp')).filter((name) => !name.endsWith('.lock')),
    [],
    `${when}: nothing half-made is left`,
  );
  return version;
}
