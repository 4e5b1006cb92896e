import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { sourceKindOf } from './drivers.ts';
import { pathToFileURL } from 'node:url';
import { isCellarError } from '../core/errors.ts';
import { makeScratch } from '../../test/support/scratch.ts';
import { localDriver } from './local.ts';
import type { Offer, Query, Surroundings } from './port.ts';

test('paths and file URLs are local, other schemes are not', () => {
  for (const location of [
    '/a/b.tar',
    './a:b',
    '../x',
    'rootfs.tar',
    'file:a b',
    'file:///a',
    'tar+file:x',
    'dir/',
  ])
    assert.equal(sourceKindOf(location)?.name, 'file');
  for (const location of ['', 'http://h/x', 'docker://x', 'lxc:x', 'debian:12'])
    assert.notEqual(sourceKindOf(location)?.name, 'file');
});

test('a server without a scheme is a path; the hint tells how it is written', async () => {
  for (const location of ['docker.io/library/nginx:1', '127.0.0.1:8000/x.tar'])
    await assert.rejects(look(location), (error) => {
      assert.ok(isCellarError(error, 'E_SOURCE_GONE'));
      assert.match(error.hint ?? '', /https:\/\/.* docker:\/\//);
      return true;
    });
  for (const location of ['./no.such/file', '/no.such/file', 'no-such/file'])
    await assert.rejects(look(location), (error) => {
      assert.ok(isCellarError(error, 'E_SOURCE_GONE'));
      assert.doesNotMatch(error.hint ?? '', /docker/);
      return true;
    });
});

test('however it is written, it is the same file', async () => {
  using scratch = makeScratch('local');
  const path = join(scratch.path, 'a b%20#.tar');
  writeFileSync(path, 'content');
  for (const location of [path, `file:${path}`, pathToFileURL(path).href, relative(process.cwd(), path)]) {
    const [offer] = await look(location);
    assert.deepEqual(
      offer!.parts,
      [{ role: 'content', name: 'a b%20#.tar', size: 7, format: 'tar', from: { type: 'file', path } }],
      location,
    );
  }
});

test('a file with its old size and time is still another when it was rewritten', async () => {
  using scratch = makeScratch('local');
  const path = join(scratch.path, 'x.tar');
  writeFileSync(path, 'one');
  utimesSync(path, 1, 1);
  const [first] = await look(path);
  writeFileSync(path, 'two');
  utimesSync(path, 1, 1);
  assert.notEqual((await look(path, { known: [first!] }))[0]!.revision, first!.revision);
});

test('a directory is always new, through a link too', async () => {
  using scratch = makeScratch('local');
  mkdirSync(join(scratch.path, 'tree.tar'));
  symlinkSync('tree.tar', join(scratch.path, 'link'));
  const [first] = await look(join(scratch.path, 'link'));
  assert.deepEqual([first!.kind, first!.parts[0]!.format], ['tree', 'directory']);
  const [second] = await look(join(scratch.path, 'link'), { known: [first!] });
  assert.notEqual(second!.revision, first!.revision);
});

test('a pipe is refused, and a URL of another host', async () => {
  using scratch = makeScratch('local');
  const pipe = join(scratch.path, 'pipe');
  spawnSync('mkfifo', [pipe]);
  await assert.rejects(look(pipe), (error) => isCellarError(error, 'E_SOURCE_INVALID'));
  for (const location of ['file://host/x', 'file:', 'file:///a%2Fb'])
    await assert.rejects(look(location), (error) => isCellarError(error, 'E_SOURCE_INVALID'), location);
});

async function look(location: string, query: Partial<Query> = {}): Promise<Offer[]> {
  await using source = localDriver.open(location, { mirrors: [], http: {} });
  return await source.look({ platforms: 'all', known: [], ...query }, {} as Surroundings);
}
