/**
 * system: on a real btrfs, with what uses it: systemd-nspawn runs a version, mount(8) takes the lines of its table of file
 * systems, and btrfs-progs say what is shared and what would boot.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { cellar, cellarOk } from '../support/cellar.ts';
import { scratchFilesystem } from '../support/filesystem.ts';
import { needs, run, sh } from '../support/run.ts';
import { makeScratch, type Scratch } from '../support/scratch.ts';
import { smallRoot } from '../support/small-root.ts';

const skip = needs({ root: true, programs: ['btrfs', 'mkfs.btrfs', 'systemd-nspawn'] });

describe('system:PATH', { skip, concurrency: 3 }, () => {
  let scratch: Scratch;
  /** Of trees `sys:1` and `sys:2`. */
  let store: string;
  const trees = new Map<string, unknown>();

  before(async () => {
    scratch = makeScratch('system');
    store = join(scratch.path, 'store');
    const root = join(scratch.path, 'root');
    await smallRoot(root);
    for (const directory of ['boot', 'home/joe', 'var/lib'])
      mkdirSync(join(root, directory), { recursive: true });
    writeFileSync(join(root, 'home/joe/notes'), 'first');
    for (const version of ['1', '2']) {
      writeFileSync(join(root, 'etc/version'), `${version}\n`);
      writeFileSync(join(root, 'etc/both'), `as delivered with ${version}\n`);
      writeFileSync(join(root, `boot/vmlinuz-6.${version}`), `kernel ${version}`);
      writeFileSync(join(root, `boot/initrd.img-6.${version}`), `initramfs ${version}`);
      const imported = await cellarOk(['import', root, `sys:${version}`], { store });
      trees.set(version, imported['tree']);
    }
  });

  after(() => scratch[Symbol.dispose]());

  interface Site extends Disposable {
    readonly path: string;
    readonly target: string;
    readonly store: string;
    at(label: string, path: string): string;
    ok(verb: string, ...args: string[]): Promise<Record<string, unknown>>;
    fails(code: string, verb: string, ...args: string[]): Promise<string>;
    labels(): string[];
    /** What is in service. */
    now(): string;
  }

  /** A new btrfs, or a directory on it, with a copy of the store on or off it. */
  async function makeSite({ directory = '.', storeOn = false } = {}): Promise<Site> {
    using stack = new DisposableStack();
    const mounted = stack.use(scratchFilesystem('btrfs', 400));
    const path = join(mounted.path, directory);
    const own = join(storeOn ? mounted.path : stack.use(makeScratch('system-store')).path, 'store');
    await sh(`cp -a ${store} ${own}`);
    if (directory !== '.') await sh(`btrfs subvolume create ${path}`);
    const target = `system:${path}`;
    const systems = join(path, 'systems');
    const all = stack.move();
    return {
      path,
      target,
      store: own,
      at: (label, inside) => join(systems, label, inside),
      ok: async (verb, ...args) => await cellarOk([verb, ...args], { store: own }),
      async fails(code, verb, ...args) {
        const done = await cellar([verb, ...args], { store: own });
        assert.match(done.stderr, new RegExp(code));
        assert.notEqual(done.code, 0);
        return done.stderr;
      },
      labels: () =>
        readdirSync(systems)
          .filter((name) => name !== 'default')
          .sort(),
      now: () => readlinkSync(join(systems, 'default')),
      [Symbol.dispose]: () => all.dispose(),
    };
  }

  let machines = 0;
  const nspawn = (root: string): string[] => [
    ...['systemd-nspawn', '--register=no', '--keep-unit', '-q', '--as-pid2', '-D', root],
    ...['-M', `cellar-${process.pid}-${machines++}`],
  ];

  async function inside(root: string, script: string): Promise<string> {
    const done = await run([...nspawn(root), '--pipe', '/bin/sh', '-c', script]);
    assert.equal(done.code, 0, done.stderr);
    return done.stdout.toString();
  }

  /** What mount(8) makes of each line of a version's table, in a mount namespace of its own. */
  async function mountedBy(fstab: string, script: string): Promise<string> {
    const table = readFileSync(fstab, 'utf8').trim().split('\n');
    const source = (await sh(`findmnt -no SOURCE --target ${fstab} | sed 's/\\[.*//'`)).trim();
    const mounts = table
      .map((line) => line.split(' '))
      .filter(([, point]) => point !== '/')
      .map(([, point, , options]) => `mkdir -p /tmp/m${point}; mount -o ${options} ${source} /tmp/m${point}`);
    const done = await run([
      'unshare',
      '-m',
      'sh',
      '-ec',
      ['mount -t tmpfs m /tmp', ...mounts, script].join('; '),
    ]);
    assert.equal(done.code, 0, done.stderr);
    return done.stdout.toString();
  }

  test('the first version, a newer one with what was changed by hand, and back', async () => {
    using site = await makeSite({ storeOn: true });
    const { target, ok, at, path } = site;
    const first = await ok('deploy', 'sys:1', target);
    assert.equal(first['path'], at('default', 'run'));
    assert.deepEqual([site.labels(), site.now()], [['factory'], 'factory']);
    assert.equal(readFileSync(at('factory', 'kernel'), 'utf8'), 'kernel 1');
    assert.equal(readFileSync(at('factory', 'initramfs'), 'utf8'), 'initramfs 1');
    assert.match(await sh(`btrfs property get -ts ${at('factory', 'orig')} ro`), /ro=true/);
    assert.throws(() => writeFileSync(at('factory', 'orig/etc/own'), ''), { code: 'EROFS' });
    assert.deepEqual(readdirSync(join(path, 'state')).sort(), ['home', 'opt', 'root', 'srv', 'var']);
    const home = await mountedBy(at('factory', 'run/etc/fstab'), 'cat /tmp/m/home/joe/notes; ls /tmp/m');
    assert.match(home, /^first(?:home|opt|root|srv|var|\n)*$/);
    assert.equal(await inside(at('default', 'run'), 'cat /etc/version'), '1\n');

    await inside(at('default', 'run'), 'echo mine >/etc/own; echo mine >/etc/both');
    writeFileSync(join(path, 'state/home/joe/notes'), 'second');
    const log = join(path, 'log');
    const done = await cellar(
      [
        'deploy',
        'sys:2',
        target,
        '--set',
        'label=2026-11',
        '--on-change',
        `cat $CELLAR_PATH/etc/version >${log}`,
      ],
      { store: join(path, 'store') },
    );
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stderr, /\/etc\/both was changed by hand and by the new version/);
    assert.equal(readFileSync(log, 'utf8'), '2\n');
    assert.deepEqual([site.labels(), site.now()], [['2026-11', 'factory'], '2026-11']);
    const read = 'cat /etc/version /etc/own /etc/both /etc/both.cellar-new';
    assert.equal(await inside(at('default', 'run'), read), '2\nmine\nmine\nas delivered with 2\n');
    assert.equal(readFileSync(join(path, 'state/home/joe/notes'), 'utf8'), 'second');
    assert.equal(readFileSync(at('2026-11', 'kernel'), 'utf8'), 'kernel 2');
    const delivered = await ok('import', at('2026-11', 'orig'), 'delivered:2');
    assert.equal(delivered['tree'], trees.get('2'));
    // What both versions have was neither written nor copied.
    const [old, now] = ['factory', '2026-11'].map((label) => lstatSync(at(label, 'orig/bin/sh')));
    assert.deepEqual([now!.ino, now!.ctimeMs], [old!.ino, old!.ctimeMs]);

    await ok('rollback', target);
    assert.equal(await inside(at('default', 'run'), 'cat /etc/version /etc/own'), '1\nmine\n');
    const again = await ok('deploy', 'sys:2', target, '--set', 'label=2026-11');
    assert.deepEqual([again['change'], again['version'], site.now()], ['deployed', 2, '2026-11']);
    const removed = await ok('undeploy', target);
    assert.deepEqual(removed['removed'], [1, 2]);
    assert.deepEqual(readdirSync(path).sort(), ['log', 'state', 'store']);
    assert.doesNotMatch(await sh(`btrfs subvolume list ${path}`), /systems/);
  });

  test('no version is ever written over, nor lost to one that fails', async () => {
    using site = await makeSite();
    const { target, ok, fails, at } = site;
    const label = (name: string): string[] => ['--set', `label=${name}`];
    await ok('deploy', 'sys:1', target);
    await ok('deploy', 'sys:2', target, ...label('two'));
    const dry = await ok('deploy', 'sys:1', target, ...label('three'), '--dry-run');
    assert.deepEqual([dry['change'], site.labels()], ['deployed', ['factory', 'two']]);
    const inode = lstatSync(at('two', 'orig/etc/version')).ino;
    for (const extra of [[], ['--force'], ['--dry-run']])
      await fails('E_SYSTEM_LABEL', 'deploy', 'sys:1', target, ...label('two'), ...extra);
    assert.equal((await ok('deploy', 'sys:2', target, ...label('two')))['change'], 'unchanged');
    assert.equal(
      (await ok('deploy', 'sys:2', target, ...label('two'), '--set', 'x=y'))['change'],
      'unchanged',
    );
    await fails('E_DEPLOY_HANDLER', 'deploy', 'sys:1', target, ...label('bad'), '--check', 'false');
    assert.deepEqual([site.labels(), site.now()], [['factory', 'two'], 'two']);
    await fails('E_DEPLOY_HANDLER', 'deploy', 'sys:1', target, ...label('factory'), '--check', 'false');
    assert.deepEqual([site.labels(), site.now()], [['factory', 'two'], 'two']);
    await fails('E_USAGE', 'deploy', 'sys:1', target, ...label('default'));
    assert.equal(lstatSync(at('two', 'orig/etc/version')).ino, inode);
    assert.equal(await inside(at('factory', 'run'), 'cat /etc/version'), '1\n');
    assert.equal((await ok('rollback', target))['version'], 1);
  });

  test('a version that somebody wrote into is no base for the next', async () => {
    using site = await makeSite();
    const { target, at } = site;
    await site.ok('deploy', 'sys:1', target);
    const [orig, program] = [at('factory', 'orig'), at('factory', 'orig/bin/ls')];
    const sum = async (file: string): Promise<string> => await sh(`sha256sum <${file}`);
    const right = await sum(program);
    await sh(
      `btrfs property set -f -ts ${orig} ro false; time=$(stat -c %y ${program})
       printf X | dd of=${program} bs=1 seek=99 conv=notrunc status=none; touch -d "$time" ${program}`,
    );
    assert.notEqual(await sum(program), right);
    const done = await cellar(['deploy', 'sys:2', target], { store: site.store });
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stderr, /\/bin\/ls of .*factory\/orig is not as it was delivered/);
    assert.equal(site.now(), 'v2');
    assert.equal(await sum(at('v2', 'orig/bin/ls')), right);
    assert.equal(await inside(at('default', 'run'), 'cat /etc/version'), '2\n');
  });

  test('a system of somebody else is set aside, and comes back', async () => {
    using site = await makeSite();
    const { target, ok, at, path } = site;
    mkdirSync(at('base', 'run/etc'), { recursive: true });
    mkdirSync(at('base', 'orig/etc'), { recursive: true });
    writeFileSync(at('base', 'run/etc/own'), 'theirs');
    symlinkSync('base', join(path, 'systems/default'));
    await site.fails('E_TARGET_FOREIGN', 'deploy', 'sys:1', target);
    await site.fails('E_SYSTEM_LABEL', 'deploy', 'sys:1', target, '--force', '--set', 'label=base');
    await ok('deploy', 'sys:1', target, '--force');
    assert.deepEqual([site.labels(), site.now()], [['base', 'v1'], 'v1']);
    assert.equal(await inside(at('default', 'run'), 'cat /etc/own'), 'theirs');
    await ok('undeploy', target);
    assert.deepEqual([site.labels(), site.now()], [['base'], 'base']);
  });

  test('what runs, the factory, and the default stay; others go with their subvolumes', async () => {
    using site = await makeSite();
    const { target, ok, at } = site;
    await ok('deploy', 'sys:1', target);
    await ok('deploy', 'sys:2', target);
    const script = 'echo is up; exec sleep 300';
    const [program, ...args] = [...nspawn(at('v2', 'run')), '/bin/sh', '-c', script];
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    const ended = new Promise((resolve) => child.once('close', resolve));
    try {
      for await (const data of child.stdout) if (String(data).includes('is up')) break;
      const config = ['--set', 'config-sync=no'];
      await ok('deploy', 'sys:1', target, '--keep', '0', ...config);
      assert.deepEqual([site.labels(), site.now()], [['factory', 'v2', 'v3'], 'v3']);
    } finally {
      child.kill('SIGTERM');
    }
    await ended;
    await setTimeout(100);
    await ok('deploy', 'sys:1', target, '--keep', '0', '--set', 'config-sync=no');
    assert.deepEqual(site.labels(), ['factory', 'v3']);
    await ok('deploy', 'sys:2', target, '--keep', '0', '--set', 'keep-factory=no');
    assert.deepEqual(site.labels(), ['v4']);
    assert.doesNotMatch(await sh(`btrfs subvolume list ${site.path}`), /factory|v2|v3/);
  });

  test('the default subvolume follows if asked, also back', async () => {
    using site = await makeSite();
    const { target, ok, path } = site;
    const shown = async (): Promise<string> =>
      await sh(
        `d=$(findmnt -no SOURCE ${path}); mkdir -p ${path}/m; mount $d ${path}/m; cat ${path}/m/etc/version || true; umount ${path}/m`,
      );
    await ok('deploy', 'sys:1', target);
    assert.equal(await shown(), '');
    await ok('deploy', 'sys:2', target, '--set', 'set-default=yes');
    assert.equal(await shown(), '2\n');
    await ok('rollback', target);
    assert.equal(await shown(), '1\n');
    await ok('undeploy', target);
    assert.match(await sh(`btrfs subvolume get-default ${path}`), /^ID 5 /);
  });

  test('in a subvolume, with a table of its own and few shared directories; nowhere but on btrfs', async () => {
    using site = await makeSite({ directory: 'pool' });
    const { target, ok, at, path } = site;
    await ok(
      'deploy',
      'sys:1',
      target,
      '--set',
      'state=home,srv',
      '--set',
      'label=one',
      '--set',
      'dtb=boot/vmlinuz-6.1',
    );
    assert.deepEqual(readdirSync(join(path, 'state')), ['home', 'srv']);
    assert.equal(readFileSync(at('one', 'dtb'), 'utf8'), 'kernel 1');
    assert.equal(await mountedBy(at('one', 'run/etc/fstab'), 'cat /tmp/m/home/joe/notes'), 'first');
    appendFileSync(at('one', 'run/etc/fstab'), 'none /scratch tmpfs defaults 0 0\n');
    await ok('deploy', 'sys:2', target, '--set', 'state=home,srv');
    assert.match(readFileSync(at('default', 'run/etc/fstab'), 'utf8'), /^none \/scratch tmpfs/m);
    const committed = await ok('commit', target, 'mine:1');
    assert.equal(committed['reference'], 'mine:1');
    assert.ok(existsSync(at('default', 'run/.deployment.json')));
    assert.doesNotMatch(JSON.stringify(await ok('diff', 'sys:2', target)), /deployment\.json/);
    await site.fails('E_PATH_NOT_FOUND', 'deploy', 'sys:1', target, '--set', 'kernel=boot/none');
    await site.fails('lies on', 'deploy', 'sys:1', `system:${scratch.path}`);
    assert.ok(!existsSync(join(scratch.path, 'systems')));
  });
});
