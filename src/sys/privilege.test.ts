import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
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

// Whoever is no root here, or one of few ids, cannot give these away.
const all =
  process.geteuid?.() === 0 && /^ *0 +0 +4294967295\n$/.test(readFileSync('/proc/self/uid_map', 'utf8'));
const skipMaps = skip || (all ? false : 'needs root that has all ids');

for (const [uids, gids, files] of [
  ['0 0 65536', '0 0 65536', true],
  ['0 0 65535', '0 0 65536', false],
  ['0 0 65536', '0 0 1', false],
  ['0 0 1000\n1000 100000 64536', '0 0 65536', true],
  ['0 0 1000\n2000 2000 100000', '0 0 65536', false],
] as const)
  test(
    `root of ${JSON.stringify({ uids, gids })} may ${files ? '' : 'not '}give files to anybody`,
    { skip: skipMaps },
    async () => {
      const wait = ['--user', 'sh', '-c', 'echo; read _; exec "$@"', 'sh'];
      const child = spawn('unshare', [...wait, process.execPath, '--input-type=module', '-e', script]);
      await once(child.stdout, 'data');
      writeFileSync(`/proc/${child.pid}/uid_map`, uids);
      writeFileSync(`/proc/${child.pid}/gid_map`, gids);
      child.stdin.end('\n');
      assert.equal((JSON.parse(await text(child.stdout)) as { files: boolean }).files, files);
    },
  );
