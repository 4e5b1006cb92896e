/** `cellar sync` and what follows from it, against nginx: due and not due, locked elsewhere, bounds, repair, signatures. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { cellar, cellarOk } from '../support/cellar.ts';
import { startNginx, type NginxPeer } from '../support/nginx.ts';
import { needs, sh } from '../support/run.ts';
import { makeScratch } from '../support/scratch.ts';

const skip = needs({ programs: ['nginx'] });

interface Site extends AsyncDisposable {
  readonly path: string;
  readonly www: string;
  readonly store: string;
  readonly nginx: NginxPeer;
  configure(yaml: string): void;
}

async function makeSite(): Promise<Site> {
  const scratch = makeScratch('sync');
  const www = join(scratch.path, 'www');
  await sh(`mkdir -p ${www} ${scratch.path}/tree; echo one >${scratch.path}/tree/version
    tar -C ${scratch.path}/tree -czf ${www}/root.tar.gz .; echo tool >${www}/tool-1.9; echo newer >${www}/tool-1.10
    cd ${www}; sha256sum * >SHA256SUMS`);
  const nginx = await startNginx(www, join(scratch.path, 'nginx'));
  return {
    path: scratch.path,
    www,
    store: join(scratch.path, 'store'),
    nginx,
    configure: (yaml) => writeFileSync(join(scratch.path, 'cellar.yaml'), yaml.replaceAll('URL', nginx.url)),
    async [Symbol.asyncDispose]() {
      await nginx[Symbol.asyncDispose]();
      scratch[Symbol.dispose]();
    },
  };
}

const two = `
version: 1
images:
  root: { source: URL/root.tar.gz, refresh: 1h }
  tools/tool:1: { source: 'latest:URL/?tool-[0-9.]+', groups: [tools] }
`;

test(
  'what is due comes, what is not is left alone, and a lock brings the same elsewhere',
  { skip },
  async () => {
    await using site = await makeSite();
    const { store, path, nginx } = site;
    site.configure(two);
    const first = await cellarOk(['sync'], { store, cwd: path });
    assert.deepEqual(outcomes(first), { 'root:latest': 'new', 'tools/tool:1': 'new' });
    const tool = await cellar(['export', 'tools/tool:1', '-'], { store });
    assert.equal(tool.stdout, 'newer\n', '1.10 is newer than 1.9');
    const asked = nginx.requests().length;
    assert.deepEqual(outcomes(await cellarOk(['sync'], { store, cwd: path })), {
      'root:latest': 'not due',
      'tools/tool:1': 'not due',
    });
    assert.equal(nginx.requests().length, asked, 'nobody was asked');

    const other = join(path, 'other');
    await cellarOk(['sync', '--locked'], { store: other, cwd: path });
    assert.equal(await contents(other), await contents(store));
    writeFileSync(join(path, 'tree/version'), 'two');
    await sh(`cd ${site.www}; tar -C ../tree -czf root.tar.gz .; sha256sum * >SHA256SUMS`);
    const third = join(path, 'third');
    const refused = await cellar(['--json', 'sync', '--locked', 'root'], { store: third, cwd: path });
    assert.equal(refused.code, 5, refused.stderr);
    assert.match(refused.stderr, /E_LOCK_MISMATCH/);
    const check = await cellarOk(['sync', '--force', '--check', 'root'], { store, cwd: path });
    assert.deepEqual(outcomes(check), { 'root:latest': 'updated' });
    assert.equal(
      (await cellar(['cat', 'root', 'version'], { store })).stdout,
      'one\n',
      'check changes nothing',
    );
  },
);

test('one that fails does not keep the others, and outdated tells', { skip }, async () => {
  await using site = await makeSite();
  const { store, path } = site;
  site.configure(`${two}  gone: { source: URL/none.tar }\n`);
  const run = await cellar(['--json', 'sync'], { store, cwd: path });
  assert.equal(run.code, 3, run.stderr);
  assert.deepEqual(outcomes(run.result ?? {}), {
    'root:latest': 'new',
    'tools/tool:1': 'new',
    'gone:latest': 'failed',
  });
  rmSync(join(site.www, 'root.tar.gz'));
  assert.equal((await cellar(['sync', '--force', 'root'], { store, cwd: path })).code, 3);
  const outdated = await cellarOk(['outdated'], { store, cwd: path });
  const states = (outdated['images'] as { reference: string; state: string }[]).map(
    ({ reference, state }) => [reference, state],
  );
  assert.deepEqual(states, [
    ['gone:latest', 'unknown'],
    ['root:latest', 'gone'],
  ]);
  assert.equal((await cellar(['cat', 'root', 'version'], { store })).stdout, 'one\n', 'it stays in use');
});

test(
  'the bound takes what was used least recently, never what is pinned or was made here',
  { skip },
  async () => {
    await using site = await makeSite();
    const { store, path, www } = site;
    for (const name of ['a', 'b', 'c']) writeFileSync(join(www, name), randomBytes(3 << 20));
    writeFileSync(join(path, 'own'), randomBytes(3 << 20));
    mkdirSync(join(path, 'mine'));
    writeFileSync(join(path, 'mine/file'), randomBytes(1 << 20));
    await sh(`cd ${www}; sha256sum * >SHA256SUMS`);
    site.configure(`
version: 1
store: { max-size: 12MiB }
images:
  a: { source: URL/a, pin: true }
  b: { source: URL/b }
  c: { source: URL/c }
`);
    await cellarOk(['import', join(path, 'mine'), 'mine:1'], { store });
    await cellarOk(['sync', 'a', 'b'], { store, cwd: path });
    await cellarOk(['sync', 'c'], { store, cwd: path });
    assert.deepEqual(await names(store), ['a:latest', 'b:latest', 'c:latest', 'mine:1']);
    writeFileSync(join(www, 'd'), randomBytes(3 << 20));
    await sh(`cd ${www}; sha256sum * >SHA256SUMS`);
    await cellarOk(['pull', `${site.nginx.url}/d`, 'd'], { store, cwd: path });
    const left = await names(store);
    assert.equal(left.length, 4);
    for (const name of ['a:latest', 'd:latest', 'mine:1']) assert.ok(left.includes(name), left.join(' '));
    writeFileSync(join(www, 'big'), randomBytes(16 << 20));
    const big = await cellar(['pull', `${site.nginx.url}/big`, 'big', '--verify', 'no'], {
      store,
      cwd: path,
    });
    assert.equal(big.code, 13, big.stderr);
    assert.match(big.stderr, /E_STORE_FULL/);
    assert.deepEqual(await names(store), left, 'a refusal takes nothing');
    await sh(`tar -cf ${join(path, 'big.tar')} -C ${www} big`);
    const imported = await cellar(['import', join(path, 'big.tar'), 'big'], { store, cwd: path });
    assert.equal(imported.code, 13, imported.stderr);
  },
);

test('fsck --repair fetches only what is damaged from where it came', { skip }, async () => {
  await using site = await makeSite();
  const { store, path } = site;
  site.configure(two);
  await cellarOk(['sync'], { store, cwd: path });
  for (const reference of ['tools/tool:1', 'root']) {
    const { content } = (await cellarOk(['show', reference], { store })) as { content: string };
    const [file] = (
      await cellarOk(['files', reference, '/version'], { store }).catch(() => ({ entries: [] }))
    )['entries'] as { digest: string }[];
    const digest = file?.digest ?? content;
    const object = join(store, 'objects', digest.slice(0, 2), digest.slice(2));
    appendFileSync(object, 'x');
    truncateSync(object, statSync(object).size - 2);
    assert.equal((await cellar(['fsck'], { store })).code, 12);
    const repaired = await cellar(['fsck', '--repair'], { store, cwd: path });
    assert.equal(repaired.code, 0, repaired.stderr + repaired.stdout);
  }
  assert.equal((await cellar(['cat', 'root', 'version'], { store })).stdout, 'one\n');
});

test('what one site signs another pulls with its key, and nothing less afterwards', { skip }, async () => {
  await using site = await makeSite();
  const { store, path, www, nginx } = site;
  const own = join(path, 'own');
  await cellarOk(['import', join(path, 'tree'), 'app:1'], { store: own });
  const { fingerprint } = (await cellarOk(['keys', 'new', 'Site A <ops@a.example.org>'], { store: own })) as {
    fingerprint: string;
  };
  rmSync(join(www, 'SHA256SUMS'));
  const archive = join(www, 'app.tar.gz');
  await cellarOk(['export', 'app:1', archive, '--sign', fingerprint], { store: own });
  assert.ok(existsSync(join(www, 'SHA256SUMS.gpg')));
  const pull = ['pull', `${nginx.url}/app.tar.gz`, 'app:1'];
  const unknown = await cellar(pull, { store });
  assert.equal(unknown.code, 5, unknown.stderr);
  assert.match(unknown.stderr, /E_SIGNATURE_KEY_UNKNOWN/);
  const key = join(path, 'site-a.asc');
  const exported = await cellar(['keys', 'export', fingerprint], { store: own });
  writeFileSync(key, exported.stdout);
  await cellarOk(['keys', 'add', key], { store });
  const pulled = await cellarOk(pull, { store });
  assert.equal((pulled['images'] as { verified: string }[])[0]?.verified, 'signature');
  rmSync(join(www, 'SHA256SUMS.gpg'));
  rmSync(join(www, 'SHA256SUMS.asc'), { force: true });
  writeFileSync(join(path, 'tree/version'), 'two');
  await sh(`cd ${www}; tar -C ../tree -czf app.tar.gz .; sha256sum app.tar.gz >SHA256SUMS`);
  const weaker = await cellar(pull, { store });
  assert.equal(weaker.code, 5, weaker.stderr);
  assert.match(weaker.stderr, /E_VERIFICATION_DOWNGRADE/);
  assert.equal(readFileSync(key, 'utf8').includes('PRIVATE'), false);
});

function outcomes(result: Record<string, unknown>): Record<string, string> {
  const images = result['images'] as { reference: string; outcome: string }[];
  return Object.fromEntries(images.map(({ reference, outcome }) => [reference, outcome]));
}

async function contents(store: string): Promise<string> {
  const rows: string[] = [];
  for (const name of await names(store))
    rows.push(`${name} ${(await cellarOk(['show', name], { store }))['content']}`);
  return rows.join('\n');
}

async function names(store: string): Promise<string[]> {
  const { images } = (await cellarOk(['ls'], { store })) as { images: { reference: string }[] };
  return images.map(({ reference }) => reference).toSorted();
}
