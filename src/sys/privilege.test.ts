import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { hasPrograms } from '../../test/support/run.ts';

const module = new URL('./privilege.ts', import.meta.url).href;
const script = `import { mayGiveFilesAway, mayMount } from ${JSON.stringify(module)};
  console.log(JSON.stringify({ files: mayGiveFilesAway(), mounts: mayMount() }));`;

const namespace = ['unshare', '--user', '--map-root-user'];
const skip =
  hasPrograms('unshare') && spawnSync('unshare', [...namespace.slice(1), 'true']).status === 0
    ? false
    : 'needs unshare, and user namespaces that anybody may make';

function rightsUnder(...words: readonly string[]): unknown {
  const [program, ...args] = [...words, process.execPath, '--input-type=module', '-e', script] as const;
  return JSON.parse(execFileSync(program!, args, { encoding: 'utf8' }));
}

test(
  'root of a user namespace may mount where the mounts are its own, though it may not part them',
  { skip },
  () => {
    assert.deepEqual(rightsUnder(...namespace, '--mount'), { files: false, mounts: true });
  },
);

test('root of a user namespace may not mount among the mounts of others', { skip }, () => {
  assert.deepEqual(rightsUnder(...namespace), { files: false, mounts: false });
});
