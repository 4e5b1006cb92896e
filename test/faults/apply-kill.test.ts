/**
 * `apply` of several mounted directories under kill -9, and what goes with it: rollback, undeploy, a second apply at the
 * same time. Whatever point a process was killed at, each place holds one version whole (or, where it was being taken
 * away, nothing); the next apply brings what is wanted, runs what is owed, and leaves no mount, record or file behind.
 */
import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { applyPlan, type ApplyResult } from '../../src/ops/apply.ts';
import { checkouts } from '../../src/ops/checkouts.ts';
import { deployments } from '../../src/ops/deployments.ts';
import { gc } from '../../src/ops/gc.ts';
import { plan } from '../../src/ops/plan.ts';
import { undeploy } from '../../src/ops/undeploy.ts';
import { needs, portion, quote, sh } from '../support/run.ts';
import { makeScratch, mountsBelow, type Scratch } from '../support/scratch.ts';
import { ended, killGroup, loopsBelow, sleep, startCellar } from './rig.ts';
import { assertCleanWithin, contextOf } from './within.ts';
import { generator } from '../support/random.ts';

const seed = Number(process.env['CELLAR_SEED'] ?? 11);
const rounds = portion(400, 2);
const files = ['a', 'deep/b'];

/** How each place shows its version. Those that are mounted are what this is about; `file` and `copied` go along. */
const places: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  image: { method: 'composefs' },
  instance: { method: 'composefs', writable: true },
  linked: { method: 'hardlink' },
  copied: { method: 'copy' },
  layered: { method: 'overlay', writable: true },
};

/** In turn; two at once, each killed at its own moment. */
const operations: readonly (readonly (readonly string[])[])[] = [
  [['apply'], ['apply']],
  [['rollback', 'image']],
  [['apply']],
  [['undeploy', 'instance']],
  [['undeploy', 'layered'], ['apply']],
  [
    ['apply', 'layered'],
    ['rollback', 'linked'],
    ['apply', 'i*'],
  ],
];

/** The two operations of the short form concern the first three places alike. */
const names = Object.keys(places).slice(0, rounds < operations.length ? 3 : undefined);

test(
  `${rounds} kills of apply, rollback and undeploy, mounted directories`,
  { skip: needs({ root: true }) },
  async (context) => {
    using site = await makeFleet();
    const random = generator(seed);
    const longest = new Map<string, number>();
    let killed = 0;
    for (let round = 0; round < rounds; round++) {
      const wanted = round % 2 === 0 ? '2' : '1';
      site.offer(wanted);
      const turn = operations[round % operations.length] ?? [];
      const what = `seed ${seed}, round ${round}, ${turn.map((words) => words.join(' ')).join(' and ')}`;
      const codes = await Promise.all(
        turn.map(async (words) => {
          const key = words.join(' ');
          const started = performance.now();
          const child = startCellar(site.args(words), site.store);
          let said = '';
          child.stderr?.on('data', (chunk) => (said += String(chunk)));
          await Promise.race([sleep(random() * (longest.get(key) ?? 1200)), ended(child)]);
          // Alone: a handler of it goes on, and the next command's wait for it.
          if (round % 2 === 1) child.kill('SIGKILL');
          else killGroup(child);
          const code = await ended(child);
          if (code !== null) longest.set(key, Math.max(longest.get(key) ?? 0, performance.now() - started));
          assert.doesNotMatch(said, /internal error|^\s+at .*:\d+:\d+\)?$/m, `${what}: ${said}`);
          return code;
        }),
      );
      if (codes.includes(null)) killed++;
      await site.check(wanted, what);
    }
    context.diagnostic(`${killed} of ${rounds} were killed before their end`);
    await site.takeAway();
  },
);

interface Fleet extends Scratch {
  readonly store: string;
  /** The sources hold this version from now on. */
  offer(version: string): void;
  /** A target by the name of its deployment. */
  args(words: readonly string[]): string[];
  /** Applied once more, everything is of this version and tidy. */
  check(wanted: string, what: string): Promise<void>;
  takeAway(): Promise<void>;
}

async function makeFleet(): Promise<Fleet> {
  using stack = new DisposableStack();
  const scratch = stack.use(makeScratch('fleet'));
  const { path } = scratch;
  const [store, served, log] = ['store', 'srv', 'log'].map((name) => join(path, name)) as [
    string,
    string,
    string,
  ];
  const config = join(path, 'cellar.yaml');
  mkdirSync(served);
  for (const version of ['1', '2']) await pack(path, version);
  const source = (name: string): string => join(path, `${name}.tar`);
  const target = (name: string): string => `dir:${join(served, name)}`;
  writeFileSync(
    config,
    JSON.stringify({
      images: Object.fromEntries(names.map((name) => [name, { source: source(name), refresh: 'always' }])),
      'deploy-defaults': {
        keep: 1,
        'on-change': `sleep 0.05; echo "$(basename "$CELLAR_PATH") $CELLAR_VERSION $(cat "$CELLAR_PATH/a")" >>${quote(log)}`,
      },
      deployments: Object.fromEntries(
        names.map((name) => [name, { image: name, target: target(name), ...places[name] }]),
      ),
    }),
  );
  const apply = ['apply', '--config', config];
  const seen = (name: string): string[] =>
    files.map((file) => {
      const found = join(served, name, file);
      return existsSync(found) ? readFileSync(found, 'utf8') : 'nothing';
    });
  const offer = (version: string): void => {
    for (const name of names) {
      copyFileSync(join(path, `${name}-${version}`), `${source(name)}.new`);
      renameSync(`${source(name)}.new`, source(name));
    }
  };
  for (const version of ['2', '1']) {
    offer(version);
    await applyWithin();
  }
  const owned = stack.move();
  return {
    path,
    store,
    offer,
    args: ([verb = '', ...rest]) =>
      verb === 'apply' ? [...apply, ...rest] : [verb, ...rest.map((name) => target(name))],
    async check(wanted, what) {
      for (const name of names) {
        const found = String(seen(name));
        assert.ok(['1,1', '2,2', 'nothing,nothing'].includes(found), `${what}: ${name} holds ${found}`);
        if (found.startsWith('nothing'))
          assert.ok(what.includes(`undeploy ${name}`), `${what}: ${name} is gone`);
      }
      const next = await applyWithin();
      assert.deepEqual(
        next.deployments.filter(({ error }) => error !== undefined),
        [],
        what,
      );
      for (const name of names) assert.equal(String(seen(name)), `${wanted},${wanted}`, `${what}: ${name}`);
      const again = await applyWithin();
      const told = readFileSync(log, 'utf8').trim().split('\n');
      for (const { name, outcome, version } of again.deployments) {
        assert.equal(outcome, 'unchanged', `${what}: ${name} was applied already`);
        const last = told.findLast((line) => line.startsWith(`${name} `));
        assert.equal(last, `${name} ${version} ${wanted}`, `${what}: the handler of what is in service`);
      }
      // Another test's programs may have begun while a version was mounted, and see it until they end.
      for (let turn = 0; turn < 50 && (await isSeenElsewhere()); turn++) {
        await sleep(200);
        await applyWithin();
      }
      await assertNothingLeft(what);
    },
    async takeAway() {
      for (const name of names) await undeploy(contextOf(store), { target: target(name) });
      assert.deepEqual(readdirSync(served), []);
      await gc(contextOf(store), { grace: 0 });
      assert.deepEqual(mountsBelow(path), []);
      assert.deepEqual(loopsBelow(path), []);
    },
    [Symbol.dispose]: () => owned.dispose(),
  };

  async function isSeenElsewhere(): Promise<boolean> {
    return (await checkouts(contextOf(store))).some(({ state }) => state === 'releasing');
  }

  async function applyWithin(): Promise<ApplyResult> {
    const operation = { ...contextOf(store), configPath: config };
    return await applyPlan(operation, await plan(operation));
  }

  /** Beside each place lie whole versions and their records; each mount is of one of them, or shared and used. */
  async function assertNothingLeft(what: string): Promise<void> {
    const versions = new Set<string>();
    for (const name of names) {
      const hidden = join(served, `.${name}.cellar`);
      const found = readdirSync(hidden).sort();
      const ids = found.filter((entry) => /^\d+-[0-9a-f]{8}$/.test(entry));
      assert.deepEqual(found, ids.flatMap((id) => [id, `${id}.json`]).sort(), `${what}: left beside ${name}`);
      assert.ok(ids.length <= 2, `${what}: versions of ${name} are kept: ${ids.join(', ')}`);
      for (const id of ids) versions.add(join(hidden, id));
    }
    assert.deepEqual(
      readdirSync(served).sort(),
      names.flatMap((name) => [name, `.${name}.cellar`]).sort(),
      what,
    );
    const mounted = mountsBelow(served);
    assert.deepEqual(mounted, [...new Set(mounted)], `${what}: mounted twice`);
    assert.deepEqual(
      mounted.filter((mount) => !versions.has(mount)),
      [],
      `${what}: left mounted`,
    );
    const listed = await checkouts(contextOf(store));
    assert.deepEqual(
      listed.map((one) => one.path).sort(),
      [...versions].sort(),
      `${what}: checkouts on record`,
    );
    assert.deepEqual(
      listed.filter(({ state }) => state !== 'ready'),
      [],
      what,
    );
    const { deployments: rows } = await deployments(contextOf(store));
    const kept = rows.filter(({ state }) => state !== 'failed');
    assert.equal(kept.length, versions.size, `${what}: ${JSON.stringify(kept)}`);
    const shared = mountsBelow(join(store, 'mnt/erofs'));
    assert.ok(loopsBelow(path).length <= shared.length, `${what}: loop devices that nothing is mounted from`);
    await assertCleanWithin(store, what);
  }
}

/** `NAME-VERSION` for each place, a tar file whose content is its version. */
async function pack(path: string, version: string): Promise<void> {
  const tree = join(path, 'tree');
  mkdirSync(join(tree, 'deep'), { recursive: true });
  for (const file of files) writeFileSync(join(tree, file), version);
  for (const name of names) {
    writeFileSync(join(tree, 'name'), name);
    await sh(`tar -C ${quote(tree)} -cf ${quote(join(path, `${name}-${version}`))} .`);
  }
}
