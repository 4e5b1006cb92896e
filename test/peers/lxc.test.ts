/**
 * What runs on lxc: targets, and is made of lxc-cache: ones, with the programs that operators use: lxc-create, lxc-execute,
 * lxc-start and lxc-copy. Containers run one program and no init.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { cellar, cellarProgram } from '../support/cellar.ts';
import { startImageServer } from '../support/image-server.ts';
import { machineSite, type MachineSite } from '../support/machine-site.ts';
import { needs, run, sh } from '../support/run.ts';
import { smallRoot } from '../support/small-root.ts';

const debianArch = { x64: 'amd64', arm64: 'arm64' }[process.arch as string] ?? process.arch;
/** The server signs nothing, and gives no sums. */
const unverified = ['--verify', 'no'];

let site: MachineSite;

before(async () => {
  site = await machineSite();
});

after(async () => {
  await site[Symbol.asyncDispose]();
});

describe(
  'lxc:NAME',
  { skip: needs({ root: true, programs: ['lxc-start', 'lxc-copy', 'lxc-execute'] }) },
  () => {
    const containers = (): string => site.env.CELLAR_LXC_PATH;
    const config = (name: string): string => readFileSync(join(containers(), name, 'config'), 'utf8');
    /** No bridge is there, and the defaults of this machine ask for one. */
    const withoutNetwork = (name: string): void => {
      const own = config(name).replace(/^lxc\.(?:net|apparmor|include).*\n/gm, '');
      writeFileSync(join(containers(), name, 'config'), `${own}lxc.net.0.type = empty\n# mine\n`);
    };
    const inside = async (name: string, script: string): Promise<string> => {
      const done = await run(['lxc-execute', '-P', containers(), '-n', name, '--', '/bin/sh', '-c', script]);
      assert.equal(done.code, 0, done.stderr);
      return done.stdout.toString();
    };
    const launch = async (name: string): Promise<ChildProcess> => {
      const where = ['-P', containers(), '-n', name];
      const child = site.begin(['lxc-start', '-F', ...where, '--', '/bin/sleep', '600']);
      const waited = await run(['lxc-wait', ...where, '-s', 'RUNNING', '-t', '20']);
      assert.equal(waited.code, 0, waited.stderr);
      return child;
    };
    const stop = `lxc-stop -k -P "$CELLAR_LXC_PATH" -n`;

    test('a container is defined, run, exported while it runs, replaced under its name, and compared', async () => {
      await site.ok('deploy', 'small:1', 'lxc:web1');
      assert.match(config('web1'), /^lxc\.uts\.name = web1$/m);
      withoutNetwork('web1');
      assert.equal(await inside('web1', 'cat /etc/version; echo data >/srv/data'), '1\n');
      const up = await launch('web1');
      await site.fails('E_TARGET_IN_USE', 'deploy', 'small:2', 'lxc:web1');
      const tar = join(site.path, 'web1.tar');
      await site.ok('export', 'lxc:web1', tar);
      assert.equal(await sh(`tar -xOf ${tar} ./srv/data`), 'data\n');
      const differences = await site.ok('diff', 'small:1', 'lxc:web1');
      const added = differences['added'] as { path: string }[];
      assert.ok(
        added.some(({ path }) => path === '/srv/data'),
        JSON.stringify(added),
      );
      await site.ok('commit', 'lxc:web1', 'web1:saved');
      const ended = once(up, 'exit');
      await site.ok('deploy', 'small:2', 'lxc:web1', '--stop', `${stop} web1`, '--start', 'true');
      await ended;
      assert.match(config('web1'), /# mine/);
      assert.equal(await inside('web1', 'cat /etc/version; ls /srv'), '2\n');
      await site.ok('deploy', 'web1:saved', 'lxc:web1');
      assert.equal(await inside('web1', 'cat /etc/version /srv/data'), '1\ndata\n');
      assert.deepEqual((await site.ok('diff', 'web1:saved', 'lxc:web1', '--no-mtime'))['changed'], []);
      await site.ok('undeploy', 'lxc:web1');
      assert.equal(existsSync(join(containers(), 'web1')), false);
    });

    /** A commit has the metadata of the base, so another container is made of it by the same template. */
    async function commitAndDeploy(name: string): Promise<void> {
      writeFileSync(join(containers(), name, 'rootfs/srv/own'), 'own\n');
      const saved = await site.ok('commit', `lxc:${name}`, `${name}:saved`);
      assert.equal(typeof saved['parent'], 'string');
      const again = `${name}again`;
      await site.ok('deploy', `${name}:saved`, `lxc:${again}`);
      assert.match(config(again), new RegExp(`^lxc\\.environment = FROM=${again}$`, 'm'));
      assert.match(config(again), new RegExp(`^lxc\\.mount\\.fstab = .*/${again}/fstab$`, 'm'));
      assert.equal(readFileSync(join(containers(), again, 'rootfs/srv/own'), 'utf8'), 'own\n');
      withoutNetwork(again);
      assert.equal(await inside(again, 'cat /srv/own; echo $FROM'), `own\n${again}\n`);
      await site.ok('undeploy', `lxc:${again}`);
    }

    test("an image server's metadata defines the container", async () => {
      const meta = join(site.path, 'meta');
      mkdirSync(meta);
      writeFileSync(join(meta, 'config'), 'lxc.arch = x86_64\nlxc.environment = FROM=LXC_NAME\n');
      writeFileSync(join(meta, 'fstab'), 'tmpfs LXC_ROOTFS/tmp tmpfs defaults\n');
      writeFileSync(join(meta, 'templates'), '/etc/hostname\n/etc/absent\n/etc/evil\n');
      writeFileSync(join(meta, 'excludes'), 'srv/left-out\n');
      writeFileSync(join(meta, 'create-message'), 'You have made LXC\n');
      const root = join(site.path, 'served');
      await smallRoot(root);
      const outside = join(site.path, 'outside');
      writeFileSync(outside, 'LXC_NAME\n');
      symlinkSync(outside, join(root, 'etc/evil'));
      writeFileSync(join(root, 'srv/left-out'), '');
      await sh(`cd ${meta} && tar -cJf ../meta.tar.xz * && tar -C ${root} -cJf ${site.path}/rootfs.tar.xz .`);
      await using server = await startImageServer({
        '/meta/1.0/index-system': `small;one;${debianArch};default;20260101_00:00;/i/\n`,
        '/i/rootfs.tar.xz': readFileSync(join(site.path, 'rootfs.tar.xz')),
        '/i/meta.tar.xz': readFileSync(join(site.path, 'meta.tar.xz')),
      });
      await site.ok('pull', `lxc+${server.url}/small/one`, 'served:1', ...unverified);
      for (const [name, base] of [
        ['served', []],
        ['servedbase', ['--base']],
      ] as const) {
        await site.ok('deploy', 'served:1', `lxc:${name}`, ...base);
        const path = join(containers(), name);
        assert.match(config(name), new RegExp(`^lxc\\.environment = FROM=${name}$`, 'm'));
        assert.match(config(name), new RegExp(`^lxc\\.mount\\.fstab = ${path}/fstab$`, 'm'));
        assert.equal(readFileSync(join(path, 'fstab'), 'utf8'), `tmpfs ${path}/rootfs/tmp tmpfs defaults\n`);
        assert.equal(readFileSync(join(path, 'rootfs/etc/hostname'), 'utf8'), `${name}\n`);
        assert.equal(existsSync(join(path, 'rootfs/srv/left-out')), false);
        if (base.length === 0) await commitAndDeploy(name);
        assert.equal(readFileSync(outside, 'utf8'), 'LXC_NAME\n');
        await site.ok('undeploy', `lxc:${name}`);
        assert.equal(existsSync(path), false);
      }
    });

    test('a container that others made keeps its definition, and gets its storage back', async () => {
      const path = join(containers(), 'old');
      mkdirSync(join(path, 'rootfs/etc'), { recursive: true });
      writeFileSync(join(path, 'rootfs/etc/version'), 'theirs\n');
      const definition = `lxc.uts.name = old\nlxc.rootfs.path = dir:${path}/rootfs\nlxc.net.0.type = empty\n`;
      writeFileSync(join(path, 'config'), definition);
      await site.fails('E_TARGET_FOREIGN', 'deploy', 'small:1', 'lxc:old');
      assert.equal(readFileSync(join(path, 'config'), 'utf8'), definition);
      await site.ok('deploy', 'small:1', 'lxc:old', '--force');
      assert.equal(await inside('old', 'cat /etc/version'), '1\n');
      assert.equal(readFileSync(join(path, 'rootfs/etc/version'), 'utf8'), '1\n');
      await site.ok('deploy', 'small:2', 'lxc:old');
      await site.ok('undeploy', 'lxc:old');
      assert.equal(readFileSync(join(path, 'config'), 'utf8'), definition);
      assert.equal(readFileSync(join(path, 'rootfs/etc/version'), 'utf8'), 'theirs\n');
    });

    test('a refreshed base leaves its clones, running or not, as they were', async () => {
      await site.ok('deploy', 'small:1', 'lxc:base', '--base', '--keep', '0');
      withoutNetwork('base');
      const copy = ['lxc-copy', '-P', containers(), '-n', 'base', '-s', '-B', 'overlayfs', '-N'];
      for (const clone of ['live', 'idle']) assert.equal((await run([...copy, clone])).code, 0);
      await inside('idle', 'echo idle >/srv/own');
      const up = await launch('live');
      await site.ok('deploy', 'small:2', 'lxc:base', '--base', '--keep', '0');
      const attach = ['lxc-attach', '-P', containers(), '-n', 'live', '--', '/bin/cat', '/etc/version'];
      assert.equal((await run(attach)).stdout.toString(), '1\n');
      assert.equal(await inside('idle', 'cat /etc/version /srv/own'), '1\nidle\n');
      assert.equal((await run([...copy, 'next'])).code, 0);
      assert.equal(await inside('next', 'cat /etc/version'), '2\n');
      up.kill('SIGKILL');
      await run(['lxc-stop', '-k', '-P', containers(), '-n', 'live']);
      const left = await cellar(['--json', 'undeploy', 'lxc:base'], { store: site.store, env: site.env });
      assert.equal(left.code, 3, left.stderr);
      assert.deepEqual(left.result?.['left'], [1, 2]);
      assert.equal(await inside('next', 'cat /etc/version'), '2\n');
      for (const clone of ['live', 'idle', 'next']) await sh(`rm -r ${join(containers(), clone)}`);
      await site.ok('undeploy', 'lxc:base');
      assert.equal(existsSync(join(containers(), 'base', '.rootfs.cellar')), false);
    });
  },
);

describe('lxc-cache:', { skip: needs({ root: true, programs: ['lxc-create', 'xz', 'wget'] }) }, () => {
  const name = `debian/bookworm/${debianArch}/default`;
  const target = `lxc-cache:${name}`;
  const cached = (file: string): string => join(site.env.LXC_CACHE_PATH, 'download', name, file);
  /** What lxc-create makes of the cache alone. */
  const create = async (container: string): Promise<string> => {
    const [distribution, release, arch, variant] = name.split('/') as [string, string, string, string];
    const selectors = ['-d', distribution, '-r', release, '-a', arch, '--variant', variant];
    const path = join(site.path, 'created');
    mkdirSync(path, { recursive: true });
    const done = await run(
      ['lxc-create', '-P', path, '-n', container, '-f', '/dev/null', '-t', 'download', '--', ...selectors],
      { env: site.env },
    );
    assert.equal(done.code, 0, done.stdout.toString() + done.stderr);
    return readFileSync(join(path, container, 'rootfs/etc/version'), 'utf8');
  };

  test('lxc-create takes it, the same content is not packed again, and what is damaged is', async () => {
    await site.ok('deploy', 'small:1', target);
    assert.match(readFileSync(cached('expiry'), 'utf8'), /^\d{10}\n$/);
    const build = readFileSync(cached('build_id'), 'utf8');
    assert.equal(await create('c1'), '1\n');
    assert.equal((await site.ok('deploy', 'small:1', target))['change'], 'unchanged');
    truncateSync(cached('rootfs.tar.xz'), 100);
    assert.equal((await site.ok('deploy', 'small:1', target))['change'], 'deployed');
    assert.equal(readFileSync(cached('build_id'), 'utf8'), build);
    assert.equal(await create('c2'), '1\n');
    await site.ok('deploy', 'small:2', target, '--level', '9', '--set', 'expiry-days=30');
    assert.notEqual(readFileSync(cached('build_id'), 'utf8'), build);
    const days = (Number(readFileSync(cached('expiry'), 'utf8')) - Date.now() / 1000) / 86_400;
    assert.ok(days > 29.9 && days <= 30, `${days}`);
    assert.equal(await create('c3'), '2\n');
    await site.ok('undeploy', target);
    assert.equal(existsSync(cached('config')), false);
  });

  test('a name does not claim another architecture', async () => {
    const other = debianArch === 's390x' ? 'amd64' : 's390x';
    await site.fails('E_TARGET_INVALID', 'deploy', 'small:1', `lxc-cache:debian/bookworm/${other}/default`);
    await site.fails('E_TARGET_INVALID', 'deploy', 'small:1', 'lxc-cache:debian/../amd64/default');
  });

  test('a pack that is killed half-way leaves the cache that was there', async () => {
    await site.ok('deploy', 'small:1', target);
    const sum = await sh(`cd ${dirname(cached('x'))} && sha256sum *`);
    const programs = join(site.path, 'slow');
    mkdirSync(programs);
    const real = (await sh('command -v xz')).trim();
    const mark = join(site.path, 'packing');
    const script = `#!/bin/sh\n${real} "$@" | head -c 20000\ntouch ${mark}\nexec sleep 600\n`;
    writeFileSync(join(programs, 'xz'), script, { mode: 0o755 });
    const slow = spawn(cellarProgram, ['deploy', 'small:2', target], {
      env: {
        ...process.env,
        ...site.env,
        CELLAR_STORE: site.store,
        PATH: `${programs}:${process.env['PATH']}`,
      },
      stdio: 'ignore',
      detached: true,
    });
    const ended = once(slow, 'exit');
    for (let attempt = 0; !existsSync(mark); attempt++) {
      assert.ok(attempt < 400 && slow.exitCode === null, 'the pack did not begin');
      await setTimeout(50);
    }
    process.kill(-slow.pid!, 'SIGKILL');
    await ended;
    assert.equal(await sh(`cd ${dirname(cached('x'))} && sha256sum *`), sum);
    assert.equal(await create('c4'), '1\n');
    await site.ok('deploy', 'small:2', target);
    assert.equal(await create('c5'), '2\n');
    const hidden = join(dirname(dirname(cached('x'))), '.default.cellar');
    assert.deepEqual(
      readdirSync(hidden).filter((file) => file.includes('partial')),
      [],
    );
    await site.ok('undeploy', target);
    assert.equal(existsSync(hidden), false);
  });
});
