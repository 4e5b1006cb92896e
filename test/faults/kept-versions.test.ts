/** Versions beyond those that are kept: what is on the list for a rollback is whole, and what lingers goes later. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ignoreEvents } from '../../src/core/events.ts';
import { deploy } from '../../src/ops/deploy.ts';
import { deployments } from '../../src/ops/deployments.ts';
import { importImage } from '../../src/ops/import.ts';
import { rollback } from '../../src/ops/rollback.ts';
import { undeploy } from '../../src/ops/undeploy.ts';
import { scratchDirectory } from '../support/filesystem.ts';
import { needs } from '../support/run.ts';

const skip = needs({ root: true, programs: ['unshare'] });

test('a version that another mount namespace sees goes once that is gone', { skip }, async () => {
  using scratch = scratchDirectory();
  const context = {
    storeRoot: join(scratch.path, 'store'),
    events: ignoreEvents,
    signal: new AbortController().signal,
  };
  const target = `dir:${join(scratch.path, 'srv/app')}`;
  mkdirSync(join(scratch.path, 'srv'));
  const put = async (content: string): Promise<void> => {
    const tree = join(scratch.path, `tree-${content}`);
    mkdirSync(tree, { recursive: true });
    writeFileSync(join(tree, 'file'), content);
    await importImage(context, { source: tree, reference: 'app' });
    await deploy(context, { reference: 'app', target, keep: 1 });
  };
  const states = async (): Promise<string[]> =>
    (await deployments(context, { target })).deployments.map(({ version, state }) => `${version} ${state}`);

  await put('first');
  // A private copy of all mounts, as a service with its own namespace has.
  const other = spawn('unshare', ['-m', 'sh', '-c', 'echo in; read -r _']);
  await once(other.stdout, 'data');
  await put('second');
  await put('third');
  assert.deepEqual((await states()).sort(), ['1 failed', '2 retired', '3 active']);
  await assert.rejects(rollback(context, { target, version: 1 }), /E_DEPLOYMENT_NOT_FOUND|version 1/);
  await rollback(context, { target });
  assert.equal(readFileSync(join(scratch.path, 'srv/app/file'), 'utf8'), 'second');

  other.stdin.end('\n');
  await once(other, 'close');
  await deploy(context, { reference: 'app', target, keep: 1 });
  const places = readdirSync(join(scratch.path, 'srv/.app.cellar')).filter((name) => /^\d+-\w+$/.test(name));
  assert.ok(!places.some((name) => name.startsWith('1-')), places.join(' '));
  await undeploy(context, { target });
  assert.ok(!existsSync(join(scratch.path, 'srv/.app.cellar')));
});
