/**
 * Calls failing once in what switches, takes away and puts back. Whatever failed, a place holds one version complete or
 * what it held before, the list of deployments says so, and the same command once more does what was asked.
 */
import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';
import { isCellarError } from '../../src/core/errors.ts';
import { checkout } from '../../src/ops/checkout.ts';
import { checkouts } from '../../src/ops/checkouts.ts';
import { deploy } from '../../src/ops/deploy.ts';
import { deployments } from '../../src/ops/deployments.ts';
import { cellarOk } from '../support/cellar.ts';
import { needs, portion, quote, sh, soak } from '../support/run.ts';
import { mountsBelow, remove } from '../support/scratch.ts';
import {
  faultsAt,
  isMount,
  learnCalls,
  runWithFault,
  switchCalls,
  writeCalls,
  type Fault,
} from './inject.ts';
import { assertTidy, makeSite, siteFiles, type Site } from './site.ts';
import { assertCleanWithin, contextOf } from './within.ts';

const skip = needs({ root: true, programs: ['strace'] });
/** Milliseconds that each case may take in the CI run; the soak run tries all places, or its share of them. */
const budget = soak ? Infinity : 1000;

type Content = '1' | '2' | 'original' | 'nothing';

interface Case {
  readonly name: string;
  readonly target: (site: Site) => string;
  /** Brings the place to hold `before`. */
  readonly prepare: (site: Site, target: string) => Promise<unknown>;
  readonly args: (target: string) => string[];
  readonly before: Content;
  readonly after: Content;
  /** Holds the file `own` before and after. */
  readonly keepsOwn?: true;
  readonly hiddenName?: string;
}

const directory = ({ target }: Site): string => target;
const machine = { target: ({ place }: Site) => `machine:${basename(place)}`, hiddenName: '.#app.cellar' };

const cases: readonly Case[] = [
  {
    ...{ name: 'rollback', target: directory, before: '2', after: '1' },
    prepare: async (site, target) => {
      await put(site, { target, version: '1', method: 'copy' });
      await put(site, { target, version: '2', method: 'copy' });
    },
    args: (target) => ['rollback', target, '1'],
  },
  ...['copy', 'overlay'].map((method) => ({
    ...({ name: `upgrade (${method})`, target: directory, before: '1', after: '2', keepsOwn: true } as const),
    prepare: async (site: Site, target: string) => {
      await put(site, { target, version: '1', method, writable: true });
      writeFileSync(join(site.place, 'own'), 'mine');
    },
    args: (target: string) => ['upgrade', target, 'app:2'],
  })),
  {
    ...{ name: 'undeploy (copy)', target: directory, before: '2', after: 'original' },
    prepare: async (site, target) => {
      mkdirSync(site.place);
      for (const name of siteFiles) {
        mkdirSync(dirname(join(site.place, name)), { recursive: true });
        writeFileSync(join(site.place, name), 'original');
      }
      await put(site, { target, version: '1', method: 'copy', force: true });
      await put(site, { target, version: '2', method: 'copy' });
    },
    args: (target) => ['undeploy', target],
  },
  {
    ...{ name: 'undeploy (mounted)', target: directory, before: '2', after: 'nothing' },
    prepare: async (site, target) => {
      await put(site, { target, version: '1' });
      await put(site, { target, version: '2' });
    },
    args: (target) => ['undeploy', target],
  },
  {
    ...{ name: 'deploy (copy)', target: directory, before: '1', after: '2' },
    prepare: async (site, target) => await put(site, { target, version: '1', method: 'copy' }),
    args: (target) => ['deploy', 'app:2', target, '--method', 'copy'],
  },
  {
    ...{ name: 'deploy (mounted)', target: directory, before: 'nothing', after: '2' },
    prepare: async () => undefined,
    args: (target) => ['deploy', 'app:2', target],
  },
  {
    ...{ name: 'deploy of a machine', ...machine, before: '1', after: '2' },
    prepare: async (site, target) => await put(site, { target, version: '1' }),
    args: (target) => ['deploy', 'app:2', target],
  },
  ...['copy', 'composefs', 'overlay'].map((method) => ({
    ...({
      name: `release (${method})`,
      target: ({ place }: Site) => place,
      before: '1',
      after: 'nothing',
    } as const),
    prepare: async ({ store, place }: Site) =>
      await checkout(contextOf(store), {
        ...{ reference: 'app:1', directory: place, method, writable: method === 'overlay' },
      }),
    args: (target: string) => ['release', target],
  })),
];

/** Ways that differ from their neighbours in the checkout alone. */
const onlySoak: readonly string[] = ['upgrade (copy)', 'deploy (mounted)', 'release (composefs)'];

for (const [number, tried] of cases.entries()) {
  const left = !soak && onlySoak.includes(tried.name) && 'only in the soak run';
  test(`calls failing once in ${tried.name}`, { skip: skip || left }, async (context) => {
    const deadline = performance.now() + budget;
    using site = await makeSite();
    process.env['CELLAR_MACHINES'] = dirname(site.place);
    await sh(`cp -a -- ${quote(site.store)} ${quote(`${site.store}.prepared`)}`);
    await begin(site, tried);
    const calls = Object.keys({ ...switchCalls, ...writeCalls });
    const args = tried.args(tried.target(site));
    const all = faultsAt(await learnCalls(args, { store: site.store, within: site.path, calls }));
    // A short run meets few calls of each case, so each begins with another one.
    const first = soak ? 0 : number * 2;
    const tally = { failed: 0, harmless: 0 };
    const problems: string[] = [];
    for (const fault of [...all.slice(first), ...all.slice(0, first)].slice(
      0,
      portion(all.length, all.length),
    )) {
      if (tally.failed > 0 && performance.now() > deadline) break;
      await begin(site, tried);
      try {
        const code = await tryFault(site, tried, fault);
        if (code !== undefined) tally[code === 0 ? 'harmless' : 'failed']++;
      } catch (error) {
        tally.failed++;
        problems.push(error instanceof Error ? error.message : String(error));
      }
    }
    assert.deepEqual(problems, []);
    assert.ok(tally.failed > 0, 'no fault was met');
    context.diagnostic(
      `${tally.failed + tally.harmless} faults, ${tally.harmless} without effect; of ${all.length} places`,
    );
  });
}

for (const [name, call, where] of [
  ['rollback', { call: 'fdatasync', when: 2 }, 'store/journal'],
  ['undeploy (mounted)', { call: 'fsync', when: 1 }, 'srv'],
] as const)
  test(
    `${name}: the step is done and ${call.call} fails, and the list says what is in service`,
    { skip },
    async () => {
      using site = await makeSite();
      const tried = cases.find((one) => one.name === name) as Case;
      await sh(`cp -a -- ${quote(site.store)} ${quote(`${site.store}.prepared`)}`);
      await begin(site, tried);
      assert.equal(await tryFault(site, tried, { ...call, error: 'EIO', path: join(site.path, where) }), 1);
    },
  );

/** A fresh store with what the case begins with, at the same path. */
async function begin(site: Site, { prepare, target }: Case): Promise<void> {
  const { store, place } = site;
  remove(dirname(place));
  remove(store);
  mkdirSync(dirname(place));
  await sh(`cp -a -- ${quote(`${store}.prepared`)} ${quote(store)}`);
  await prepare(site, target(site));
}

/** @returns the exit code, when the fault hit anything */
async function tryFault(site: Site, tried: Case, fault: Fault): Promise<number | null | undefined> {
  const { store, place, path } = site;
  const args = tried.args(tried.target(site));
  const { code, stderr, injected } = await runWithFault(args, store, fault);
  if (injected.length === 0) return undefined;
  const context = `${fault.call} #${fault.when} ${fault.error}\n  ${injected.join('\n  ')}\n  exit ${code}: ${stderr}`;
  // Outside of the site it may be the program's own code that could not be read.
  const isOurs = injected.every((line) => line.includes(path) || isMount(fault.call));
  if (code !== 0 && isOurs && !stderr.includes('uv_fs_close'))
    assert.doesNotMatch(stderr, /internal error|^\s+at .*:\d+:\d+\)?$/m, `not our error: ${context}`);
  const isRelease = args[0] === 'release';
  const found = await contentOf(site, context, isRelease);
  assert.ok(
    found === tried.after || (code !== 0 && (found === tried.before || found === 'half')),
    `it holds ${found}: ${context}`,
  );
  if (!isRelease) assert.equal(await listed(site, tried), found, `deployments differ: ${context}`);
  // What failed once all was done leaves nothing to be done again.
  const isDone = code === 0 || (found === tried.after && (await onRecord(site)) === 0);
  if (!isDone)
    await cellarOk(args, { store }).catch((error: Error) =>
      assert.fail(`${context}\nagain: ${error.message}`),
    );
  assert.equal(await contentOf(site, context, false), tried.after, context);
  if (tried.keepsOwn) assert.equal(readFileSync(join(place, 'own'), 'utf8'), 'mine', context);
  await assertCleanWithin(store, context);
  const { hiddenName } = tried;
  await assertTidy({ store, place, ...(hiddenName === undefined ? {} : { hiddenName }) }, 2, context);
  if (tried.after === '1' || tried.after === '2') {
    assert.equal(await listed(site, tried), tried.after, context);
    return code;
  }
  const left = readdirSync(dirname(place)).filter((name) => name !== basename(place));
  // A directory that cannot be removed once it is empty does not keep anybody from undeploying.
  if (fault.call !== 'rmdir') assert.deepEqual(left, [], `left behind: ${context}`);
  assert.deepEqual(mountsBelow(dirname(place)), [], context);
  return code;
}

/** Of all of its files, which have to agree; what is being released may be half gone, if the list says so. */
async function contentOf({ store, place }: Site, context: string, mayBeHalf: boolean): Promise<string> {
  if (mayBeHalf && (await checkouts(contextOf(store))).some(({ state }) => state !== 'ready')) return 'half';
  if (lstatSync(place, { throwIfNoEntry: false }) === undefined) return 'nothing';
  const found = new Set(siteFiles.map((name) => readIfThere(join(place, name))));
  assert.equal(found.size, 1, `${[...found].join(' and ')} in one place: ${context}`);
  return [...found][0] as string;
}

function readIfThere(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : 'missing';
}

/** What `deployments` says is in service. */
async function listed({ store, ...site }: Site, tried: Case): Promise<string> {
  const target = tried.target({ store, ...site });
  const rows = await deployments(contextOf(store), { target }).catch((error: unknown) => {
    if (isCellarError(error, 'E_DEPLOYMENT_NOT_FOUND')) return { deployments: [] };
    throw error;
  });
  const active = rows.deployments.find(({ state }) => state === 'active');
  if (active !== undefined) return active.reference.slice(-1);
  return tried.after === 'original' ? 'original' : 'nothing';
}

/** How many deployments and checkouts there are. */
async function onRecord({ store }: Site): Promise<number> {
  const rows = await deployments(contextOf(store));
  return rows.deployments.length + (await checkouts(contextOf(store))).length;
}

async function put(
  { store }: Site,
  { version, ...options }: Omit<Parameters<typeof deploy>[1], 'reference'> & { readonly version: string },
): Promise<void> {
  await deploy(contextOf(store), { ...options, reference: `app:${version}` });
}
