/**
 * `npm run quickstart`: the main job, end to end, on real files of this machine, in well under a minute. A tree of
 * some thousand files in two versions goes into a fresh store, comes out writable, is changed, committed, compared,
 * deployed, moved to the new version and back, signed, and pulled by another store over HTTP. Works as root and as an
 * ordinary user; everything is made in one temporary directory and removed at the end (kept with --keep).
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { count as counted, formatBytes } from '../src/core/quantity.ts';

const cellarPath = new URL('../bin/cellar', import.meta.url).pathname;
const work = mkdtempSync(
  join(process.env.TMPDIR ?? (existsSync('/var/tmp') ? '/var/tmp' : tmpdir()), 'cellar-quickstart-'),
);
const store = join(work, 'store');
const rows: [string, string][] = [];

type Result = Record<string, string | number | boolean | unknown[]>;

try {
  run();
} finally {
  if (process.argv.includes('--keep')) console.log(`\nKept: ${work}`);
  else cleanUp();
}

function run(): void {
  say('A real tree, in two versions');
  const [v1, v2] = makeVersions();
  execFileSync('tar', ['-C', v1, '-czf', join(work, 'v1.tar.gz'), '.']);

  say('Import: version 1 from a packed tar, version 2 from a directory');
  const first = cellar('import', join(work, 'v1.tar.gz'), 'demo/app:1');
  const second = cellar('import', v2, 'demo/app:2');
  note('imported version 1', `${first.files} files, ${size(first.bytes)} in ${first.elapsedMs} ms`);
  note('imported version 2', `${size(second.newBytes)} new of ${size(second.bytes)}: the rest was there`);

  say('Check out version 1 writable, change it, commit it');
  const here = join(work, 'mine');
  const checkout = cellar('checkout', 'demo/app:1', here, '--writable');
  appendFileSync(join(here, 'README.local'), 'changed on this machine\n');
  const commit = cellar('commit', here, 'demo/app:mine');
  note(`checked out by ${checkout.method}`, here);
  note('committed a change', `${counted(Number(commit.newObjects), 'new object')}, ${size(commit.newBytes)}`);

  say('Compare');
  const mine = cellar('diff', 'demo/app:1', 'demo/app:mine');
  const next = cellar('diff', 'demo/app:1', 'demo/app:2');
  note('1 → mine', changes(mine));
  note('1 → 2', changes(next));

  say('Deploy version 1, move to version 2, and back');
  const target = `dir:${join(work, 'live')}`;
  const told = join(work, 'told');
  const handler = ['--on-change', `echo $CELLAR_REFERENCE >>${told}`];
  cellar('deploy', 'demo/app:1', target, ...handler);
  const deployed = cellar('deploy', 'demo/app:2', target, ...handler);
  const back = cellar('rollback', target);
  note(
    'deployed 1 → 2 → 1',
    `version ${deployed.version}, then ${back.version} again, each by one atomic rename`,
  );
  note('the handler was told', readFileSync(told, 'utf8').trim().split('\n').join(', '));

  say('Publish version 2, signed; pull it elsewhere, verified');
  share();

  say('Verify and account');
  const fsck = cellar('fsck');
  const du = cellar('du');
  note('fsck', `${(fsck.damaged as unknown[]).length} damaged`);
  note('disk', `${size(du.logicalBytes)} of images in ${size(du.storedBytes)} of store`);
  cellar('undeploy', target);
  cellar('release', join(work, 'mine'), '--force');

  printTable();
}

/** One site exports and signs, another pulls over HTTP with that key and nothing else; a changed byte is refused. */
function share(): void {
  const www = join(work, 'www');
  const archive = join(www, 'app-2.tar.gz');
  mkdirSync(www);
  const { fingerprint } = cellar('keys', 'new', 'Demo <demo@example.org>');
  cellar('export', 'demo/app:2', archive, '--sign', String(fingerprint));
  const publicKey = join(work, 'demo.asc');
  writeFileSync(
    publicKey,
    spawnSync(cellarPath, ['keys', 'export', String(fingerprint), '--store', store]).stdout,
  );
  using server = serve(www);
  const elsewhere = ['--keyring', publicKey, '--store', join(work, 'other')];
  const pulled = cellar('pull', `${server.url}/app-2.tar.gz`, 'demo/app:2', ...elsewhere);
  const again = cellar('pull', `${server.url}/app-2.tar.gz`, 'demo/app:2', ...elsewhere);
  note('pulled elsewhere', `${size(pulled.transferred)}, verified by ${firstImage(pulled).verified}`);
  note('pulled again', `${firstImage(again).change}: ${size(again.transferred)} in ${again.elapsedMs} ms`);
  appendFileSync(archive, 'one byte too many');
  const tampered = ['pull', `${server.url}/app-2.tar.gz`, 'demo/app:2', '--refresh', ...elsewhere];
  show(tampered);
  const refused = spawnSync(cellarPath, [...tampered, '--progress=none'], { encoding: 'utf8' });
  if (refused.status !== 5) throw new Error(`a changed archive was not refused: ${refused.stderr}`);
  note('a byte was added', /error\[(\w+)\]/.exec(refused.stderr)?.[1] ?? 'refused');
}

function firstImage(result: Result): { verified: string; change: string } {
  return (result.images as { verified: string; change: string }[])[0]!;
}

/** In a process of its own, since this one waits for the commands that it runs. */
function serve(directory: string): Disposable & { readonly url: string } {
  const urlFile = join(work, 'url');
  const output = openSync(urlFile, 'w');
  const script = new URL('serve-directory.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, directory], { stdio: ['ignore', output, 'inherit'] });
  closeSync(output);
  for (let tries = 0; tries < 500 && readFileSync(urlFile, 'utf8') === ''; tries++)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  return { url: readFileSync(urlFile, 'utf8').trim(), [Symbol.dispose]: () => void child.kill() };
}

/** A few thousand small real files: what this machine documents and configures itself with. */
function makeVersions(): [string, string] {
  const v1 = join(work, 'v1');
  mkdirSync(v1);
  let files = 0;
  for (const source of [
    '/usr/share/zoneinfo',
    '/usr/share/perl',
    '/usr/lib/python3',
    '/usr/share/doc',
    '/usr/include',
    '/usr/share/locale',
  ]) {
    if (!existsSync(source) || files > 4000) continue;
    const target = join(v1, source.slice(1).replaceAll('/', '-'));
    spawnSync('cp', ['-a', '--', source, target], { stdio: 'ignore' });
    files += count(target);
  }
  if (files < 1000)
    for (let at = 0; at < 2000; at++)
      writeFileSync(join(v1, `file-${at}`), `line ${at}\n`.repeat(50 + (at % 200)));
  const v2 = join(work, 'v2');
  cpSync(v1, v2, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  changeSome(v2);
  return [v1, v2];
}

function changeSome(directory: string): void {
  let at = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    // Seen by two names, where a directory is also a symlink, it may have gone by the other.
    if (!existsSync(path)) continue;
    if (++at % 20 === 0) {
      chmodSync(path, 0o644);
      appendFileSync(path, '\n# version 2\n');
    } else if (at % 97 === 0) rmSync(path);
  }
  writeFileSync(join(directory, 'NEWS'), 'Version 2.\n');
}

function count(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    .length;
}

function cellar(...args: string[]): Result {
  show(args);
  const where = args.includes('--store') ? [] : ['--store', store];
  const done = spawnSync(cellarPath, [...args, '--json', '--progress=none', ...where], {
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
  });
  const last = done.stdout.trimEnd().split('\n').at(-1) ?? '';
  if (done.status !== 0) throw new Error(`cellar ${args[0]} failed (${done.status}):\n${done.stderr}${last}`);
  return JSON.parse(last) as Result;
}

function show(args: readonly string[]): void {
  console.log(`  $ cellar ${args.map(quoted).join(' ').replaceAll(work, '$W')}`);
}

/** As a shell wants it; nothing here has a single quote in it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`;
}

function cleanUp(): void {
  if (existsSync(store)) {
    const { stdout } = spawnSync(cellarPath, ['checkouts', '--json', '--store', store], { encoding: 'utf8' });
    const last = stdout?.trimEnd().split('\n').at(-1) ?? '';
    const left = last.startsWith('{')
      ? ((JSON.parse(last) as { checkouts?: { path: string }[] }).checkouts ?? [])
      : [];
    for (const { path } of left) spawnSync(cellarPath, ['release', path, '--force', '--store', store]);
  }
  rmSync(work, { recursive: true, force: true });
}

function changes(diff: Result): string {
  return ['added', 'removed', 'changed']
    .map((kind) => `${(diff[kind] as unknown[]).length} ${kind}`)
    .join(', ');
}

function say(text: string): void {
  console.log(`\n${text}`);
}

function note(what: string, result: string): void {
  rows.push([what, result.replaceAll(work, '$W')]);
}

function size(bytes: unknown): string {
  return formatBytes(Number(bytes));
}

function printTable(): void {
  const width = Math.max(...rows.map(([what]) => what.length));
  console.log('\nWhat happened');
  for (const [what, result] of rows) console.log(`  ${what.padEnd(width)}  ${result}`);
  console.log(`
Try next
  bin/cellar import /some/rootfs.tar.zst debian:12    your own root file system
  bin/cellar pull docker://… app:1                    or from wherever yours come from
  bin/cellar checkout debian:12 /srv/web1 --writable  as many as you like: each costs its differences
  bin/cellar doctor                                   what this machine can do
  bin/cellar help                                     everything else`);
}
