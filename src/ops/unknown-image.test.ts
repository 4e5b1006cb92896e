import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratch } from '../../test/support/scratch.ts';
import { fromText } from '../core/bytes.ts';
import { ignoreEvents } from '../core/events.ts';
import { applyPlan } from './apply.ts';
import { commit } from './commit.ts';
import type { Context } from './context.ts';
import { plan } from './plan.ts';

/** Code, message without directories, and hint of what becomes of each deployment; `made` names an image of the store. */
async function refusals(text: string, options: { made?: string; offline?: boolean } = {}): Promise<string[]> {
  using scratch = makeScratch('unknown-image');
  const at = (name: string): string => join(scratch.path, name);
  const context: Context = {
    storeRoot: at('store'),
    configPath: at('cellar.yaml'),
    events: ignoreEvents,
    signal: new AbortController().signal,
  };
  writeFileSync(at('cellar.yaml'), text.replaceAll('DIR', scratch.path));
  mkdirSync(at('tree'));
  writeFileSync(at('tree/file'), 'one');
  if (options.made !== undefined)
    await commit(context, { directory: fromText(at('tree')), reference: options.made });
  const planned = await plan(context, { offline: options.offline });
  const applied = await applyPlan(context, planned);
  return planned.deployments.map(({ error, step }, index) => {
    assert.equal(applied.deployments[index]?.error, error);
    if (error === undefined) return step;
    return `${error.code} ${error.message} | ${error.hint}`.replaceAll(`${scratch.path}/`, '');
  });
}

const absent = (name: string): string =>
  `there is no image '${name}': the store store has none, and no source for it is known`;

test('an image that nobody knows: the line that names it, and what was meant', async () => {
  const images = 'images:\n  app:1: {source: DIR/tree}\n';
  const web = 'deployments:\n  web:\n    target: dir:DIR/srv\n    image: ap:1\n';
  const meant = `E_DEPLOYMENT_IMAGE cellar.yaml:6:5: ${absent('ap:1')} | did you mean 'app:1'?`;
  assert.deepEqual(await refusals(images + web), [meant]);
  assert.deepEqual(await refusals(images + web, { offline: true }), [meant]);
  assert.deepEqual(await refusals(images + web, { made: 'other' }), [meant]);
});

test('what is near in the store, or that there is no store, is the hint where the configuration has nothing near', async () => {
  const web = 'deployments:\n  web: {image: ap:1, target: "dir:DIR/srv"}\n';
  const start = `E_DEPLOYMENT_IMAGE cellar.yaml:2:9: ${absent('ap:1')} | `;
  const [bare = ''] = await refusals(web);
  assert.ok(
    bare.startsWith(`${start}there is no store at store; 'cellar import' and 'cellar pull' make one; `),
    bare,
  );
  const [near] = await refusals(web, { made: 'app:1' });
  assert.equal(near, `${start}did you mean 'app:1'? 'cellar ls' shows what is there`);
  const [none = ''] = await refusals(web, { made: 'something' });
  assert.ok(none.startsWith(`${start}'cellar ls' shows what is there; an image with a source`), none);
});

test('a nested image has a line of its own, and only the deployment that names it is refused', async () => {
  const deployments = `deployments:
  web:
    image: app:1
    target: dir:DIR/web
    method: copy
    nested:
      initrd:
        path: boot/i.gz
        image: init
  plain: {image: app:1, target: "dir:DIR/plain", method: copy}
`;
  const [web = '', plain] = await refusals(deployments, { made: 'app:1' });
  assert.ok(web.startsWith(`E_DEPLOYMENT_IMAGE cellar.yaml:9:9: ${absent('init')} | `), web);
  assert.equal(plain, 'deploy');
});
