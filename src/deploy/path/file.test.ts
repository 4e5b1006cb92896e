import assert from 'node:assert/strict';
import { linkSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratch } from '../../../test/support/scratch.ts';
import { fileTarget } from './file.ts';

test('a version is as it was made when it has the time of its record, and not when nobody can tell', async () => {
  using scratch = makeScratch('file-target');
  const path = join(scratch.path, 'app');
  const place = join(scratch.path, '.app.cellar/1-00000001');
  mkdirSync(join(scratch.path, '.app.cellar'));
  writeFileSync(place, 'x');
  linkSync(place, path);
  const target = fileTarget.open(path, { force: false });
  const isStale = async (): Promise<boolean> => (await target.look()).stale === true;
  assert.equal(await isStale(), false);
  const deployed = new Date(1_600_000_000_000);
  writeFileSync(`${place}.json`, JSON.stringify({ deployed: deployed.toISOString() }));
  assert.equal(await isStale(), true);
  utimesSync(place, deployed, deployed);
  assert.equal(await isStale(), false);
  writeFileSync(`${place}.json`, '{');
  assert.equal(await isStale(), true);
});
