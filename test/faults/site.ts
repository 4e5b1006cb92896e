/** What the tests of deployments share: a store with two versions, a place for them, and what is asked of both. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { checkouts } from '../../src/ops/checkouts.ts';
import { cellarOk } from '../support/cellar.ts';
import { makeScratch, mountsBelow } from '../support/scratch.ts';
import { contextOf } from './within.ts';

export type SiteKind = 'dir' | 'file';

export interface Site extends Disposable {
  readonly kind: SiteKind;
  readonly path: string;
  readonly store: string;
  /** Where versions are put in service. */
  readonly place: string;
  readonly target: string;
  /** Options of `deploy`: each run of the handler is a line with the version it was told of and what it found there. */
  readonly handler: readonly string[];
  /** Of the version in service. */
  content(): string;
  handled(): readonly Handled[];
}

export type Place = Pick<Site, 'store' | 'place'> & {
  /** Of the directory of versions, where it is not that of `dir:`. */
  readonly hiddenName?: string;
};

export interface Handled {
  readonly version: number;
  readonly told: string;
  readonly found: string;
}

/** Files of each tree; all of them hold the number of their version. */
export const siteFiles: readonly string[] = ['a', 'b', 'deep/c', 'deep/er/d'];

/** A store with `app:1` and `app:2`, trees or files, whose content is their number. */
export async function makeSite(kind: SiteKind = 'dir'): Promise<Site> {
  using stack = new DisposableStack();
  const { path } = stack.use(makeScratch('deploy'));
  const store = join(path, 'store');
  for (const version of ['1', '2']) {
    const tree = join(path, `tree-${version}`);
    mkdirSync(join(tree, 'deep/er'), { recursive: true });
    for (const name of siteFiles) writeFileSync(join(tree, name), version);
    const how = kind === 'dir' ? ['import', tree] : ['pull', `file:${join(tree, 'a')}`];
    await cellarOk([...how, `app:${version}`], { store });
  }
  const place = join(path, 'srv/app');
  mkdirSync(dirname(place));
  const log = join(path, 'log');
  writeFileSync(log, '');
  const shown = kind === 'dir' ? '"$CELLAR_PATH/a"' : '"$CELLAR_PATH"';
  const owned = stack.move();
  return {
    ...{ kind, path, store, place, target: `${kind}:${place}` },
    handler: ['--on-change', `echo "$CELLAR_VERSION $CELLAR_REFERENCE $(cat ${shown})" >>${log}`],
    content: () => readFileSync(kind === 'dir' ? join(place, 'a') : place, 'utf8'),
    handled: () => readFileSync(log, 'utf8').trim().split('\n').filter(Boolean).map(parse),
    [Symbol.dispose]: () => owned.dispose(),
  };
}

function parse(line: string): Handled {
  const [version = '', told = '', found = ''] = line.split(' ');
  return { version: Number(version), told, found };
}

/** Beside the place lie whole versions and their records, and nothing else is mounted or on record as a checkout. */
export async function assertTidy(
  { store, place, hiddenName = `.${basename(place)}.cellar` }: Place,
  versions: number,
  what: string,
): Promise<void> {
  const hidden = join(dirname(place), hiddenName);
  const names = existsSync(hidden) ? readdirSync(hidden).sort() : [];
  const ids = names.filter((name) => /^\d+-[0-9a-f]{8}$/.test(name));
  assert.deepEqual(
    names,
    ids.flatMap((id) => [id, `${id}.json`]).sort(),
    `${what}: left beside the versions`,
  );
  assert.ok(ids.length <= versions, `${what}: ${ids.length} versions are kept`);
  const places = new Set(ids.map((id) => join(hidden, id)));
  const mounted = mountsBelow(dirname(place)).filter((mount) => !places.has(mount));
  assert.deepEqual(mounted, [], `${what}: left mounted`);
  const others = (await checkouts(contextOf(store))).filter(({ path }) => !places.has(path));
  assert.deepEqual(others, [], `${what}: left on record`);
}
