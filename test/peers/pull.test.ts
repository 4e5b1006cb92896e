/** `cellar pull` against nginx: only what changed, verified, resumed after a kill, and once however many ask. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cellar, cellarOk, cellarProgram } from '../support/cellar.ts';
import { startNginx } from '../support/nginx.ts';
import { needs, sh } from '../support/run.ts';
import { makeScratch } from '../support/scratch.ts';

const skip = needs({ programs: ['nginx'] });

test('pull from nginx: new, unchanged, updated, tampered', { skip }, async () => {
  using scratch = makeScratch('pull');
  const www = join(scratch.path, 'www');
  const store = join(scratch.path, 'store');
  await sh(`mkdir -p ${www} ${scratch.path}/tree/etc; echo one >${scratch.path}/tree/etc/version`);
  const publish = async (): Promise<void> => {
    await sh(`cd ${www}; tar -C ../tree -czf new . && mv new root.tar.gz; sha256sum root.tar.gz >SHA256SUMS`);
  };
  await publish();
  await using nginx = await startNginx(www, join(scratch.path, 'nginx'));
  const pull = ['pull', `${nginx.url}/root.tar.gz`, 'base:1'];
  const first = await cellarOk(pull, { store });
  assert.equal(first['state'], 'fresh');
  assert.deepEqual(pick(first), { change: 'new', verified: 'checksum' });

  const before = nginx.requests().length;
  assert.deepEqual(pick(await cellarOk(pull, { store })), { change: 'unchanged', verified: 'checksum' });
  assert.deepEqual(
    nginx
      .requests()
      .slice(before)
      .map(({ bytes }) => bytes),
    [0],
    'a check that finds nothing new transfers headers only',
  );

  writeFileSync(join(scratch.path, 'tree/etc/version'), 'two');
  await publish();
  utimesSync(join(www, 'root.tar.gz'), new Date(), new Date(Date.now() + 5000));
  assert.deepEqual(pick(await cellarOk(pull, { store })), { change: 'updated', verified: 'checksum' });

  writeFileSync(join(scratch.path, 'tree/etc/version'), 'three');
  await publish();
  appendFileSync(join(www, 'root.tar.gz'), 'x');
  const tampered = await cellar([...pull, '--json'], { store });
  assert.equal(tampered.code, 5, tampered.stderr);
  assert.match(tampered.stderr, /E_CHECKSUM_MISMATCH/);
  await sh(`cd ${www}; printf XX | dd of=root.tar.gz bs=1 seek=30 conv=notrunc status=none`);
  const broken = await cellar([...pull, '--json'], { store });
  assert.equal(broken.code, 5, `what no longer unpacks is told as what it is: ${broken.stderr}`);
  const kept = await cellar(['cat', 'base:1', 'etc/version'], { store });
  assert.equal(kept.stdout, 'two', 'the reference stays where it was');
  assert.deepEqual(
    readdirSync(join(store, 'downloads')).filter((name) => !/\.(?:flight|lock|looked)$/.test(name)),
    [],
  );
});

test('upstream that is down leaves what is cached in use, stale, and exit code 3', { skip }, async () => {
  using scratch = makeScratch('pull');
  const www = join(scratch.path, 'www');
  const store = join(scratch.path, 'store');
  mkdirSync(www);
  writeFileSync(join(www, 'tool'), 'binary');
  let url: string;
  {
    await using nginx = await startNginx(www, join(scratch.path, 'nginx'));
    url = nginx.url;
    await cellarOk(['pull', `${url}/tool`, 'tool:1', '--verify', 'no'], { store });
  }
  const down = await cellar(['pull', `${url}/tool`, 'tool:1', '--verify', 'no', '--json', '--retries', '0'], {
    store,
  });
  assert.equal(down.code, 3, down.stderr);
  assert.equal(down.result?.['state'], 'stale');
  const never = await cellar(['pull', `${url}/other`, 'other:1', '--retries', '0'], { store });
  assert.equal(never.code, 1, never.stderr);
  assert.match(never.stderr, /E_HTTP_UNREACHABLE/);
});

test('a killed pull is continued where it stopped', { skip }, async () => {
  using scratch = makeScratch('pull');
  const www = join(scratch.path, 'www');
  const store = join(scratch.path, 'store');
  mkdirSync(www);
  const content = randomBytes(24 << 20);
  writeFileSync(join(www, 'tool'), content);
  await using nginx = await startNginx(www, join(scratch.path, 'nginx'), { rate: 8 << 20 });
  const args = ['--store', store, 'pull', `${nginx.url}/tool`, 'tool:1', '--verify', 'no'];
  const child = spawn(cellarProgram, args, { stdio: 'ignore' });
  await until(() => partBytes(store) > 4 << 20);
  child.kill('SIGKILL');
  await once(child, 'exit');
  await cellarOk(['pull', `${nginx.url}/tool`, 'tool:1', '--verify', 'no'], { store });
  const resumed = nginx.requests().filter(({ method, status }) => method === 'GET' && status === 206);
  assert.ok(resumed.length > 0, 'it asked for a range');
  assert.ok(resumed.every(({ bytes }) => bytes < content.length));
  const shown = await cellarOk(['show', 'tool:1'], { store });
  assert.equal(shown['content'], createHash('sha256').update(content).digest('hex'));
});

test('from an LXC image server: the exact variant, with its metadata kept', { skip }, async () => {
  using scratch = makeScratch('pull');
  const www = join(scratch.path, 'www');
  const store = join(scratch.path, 'store');
  await sh(
    `mkdir -p ${www}/meta/1.0 tree; cd ${www}
    echo config >config; echo root >version
    for build in 20260101_05:24 20260102_05:24; do
      for variant in default default-beta.1; do
        images=images/debian/trixie/amd64/$variant/$build; mkdir -p $images; echo $variant $build >version
        tar -cJf $images/rootfs.tar.xz version; tar -cJf $images/meta.tar.xz config
        (cd $images; sha256sum * >SHA256SUMS)
        echo "debian;trixie;amd64;$variant;$build;/$images/" >>meta/1.0/index-system
      done
    done`,
    { cwd: scratch.path },
  );
  await using nginx = await startNginx(www, join(scratch.path, 'nginx'));
  const pull = ['pull', `lxc+${nginx.url}/debian/trixie/amd64`, 'debian:13'];
  assert.deepEqual(pick(await cellarOk(pull, { store })), { change: 'new', verified: 'checksum' });
  const version = await cellar(['cat', 'debian:13', 'version'], { store });
  assert.equal(version.stdout, 'default 20260102_05:24\n');
  const shown = await cellarOk(['show', 'debian:13'], { store });
  assert.deepEqual(Object.keys(shown['attachments'] as object), ['lxc-meta.tar.xz']);
  assert.deepEqual(pick(await cellarOk(pull, { store })), { change: 'unchanged', verified: 'checksum' });
});

test('fifty processes that ask for one image transfer it once', { skip }, async () => {
  using scratch = makeScratch('pull');
  const www = join(scratch.path, 'www');
  const store = join(scratch.path, 'store');
  mkdirSync(www);
  const size = 300 << 20;
  await sh(
    `openssl enc -aes-128-ctr -K 00 -iv 00 </dev/zero 2>/dev/null | head -c ${size} >${www}/image || true`,
  );
  await using nginx = await startNginx(www, join(scratch.path, 'nginx'));
  const runs = await Promise.all(
    Array.from({ length: 50 }, () =>
      cellar(['--json', 'pull', `${nginx.url}/image`, 'image:1', '--verify', 'no'], { store }),
    ),
  );
  for (const { code, stderr } of runs) assert.equal(code, 0, stderr);
  const transferred = runs.map(({ result }) => Number(result?.['transferred']));
  assert.deepEqual(
    transferred.filter((bytes) => bytes > 0),
    [size],
  );
  const sent = nginx.requests().reduce((sum, { bytes }) => sum + bytes, 0);
  assert.ok(sent < size * 1.1, `upstream sent ${sent} bytes`);
});

function pick(result: Record<string, unknown>): unknown {
  const [image] = result['images'] as { change: string; verified: string }[];
  return { change: image?.change, verified: image?.verified };
}

function partBytes(store: string): number {
  try {
    return readdirSync(join(store, 'downloads'))
      .filter((name) => name.endsWith('.part'))
      .reduce((sum, name) => sum + statSync(join(store, 'downloads', name)).size, 0);
  } catch {
    return 0;
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    if (condition()) return;
    await sleep(20);
  }
  throw new Error('it did not happen');
}
