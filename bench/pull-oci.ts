/**
 * Claim: pulling an OCI image of about 500 MB from a registry takes no longer than `skopeo copy` to a layout. The image
 * is made of the lab's trees: four layers, packed with gzip as registries hold them.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { alternate, lab, shell } from './lib/measure.ts';
import { finish, reportClaim } from './lib/report.ts';

const work = `${lab}/mnt/ext4/bench`;
const port = 5099;
const scratch = mkdtempSync(join(tmpdir(), 'cellar-registry-'));
const layout = `${lab}/oci/base`;
shell(`
  [ -e ${layout} ] && exit 0
  mkdir -p ${lab}/oci; umoci init --layout ${layout}; umoci new --image ${layout}:v1
  for part in usr/lib usr/share usr/bin etc; do
    umoci insert --image ${layout}:v1 ${lab}/trees/base-v1/$part /$part
  done`);
writeFileSync(
  join(scratch, 'registry.yml'),
  `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${scratch}/data}}\nhttp: {addr: "127.0.0.1:${port}"}\n`,
);
const registry = spawn('docker-registry', ['serve', join(scratch, 'registry.yml')], { stdio: 'ignore' });
try {
  await sleep(1500);
  const image = `127.0.0.1:${port}/base:v1`;
  shell(`skopeo copy -q --dest-tls-verify=false oci:${layout}:v1 docker://${image}`);
  const [ours = [], peer = []] = alternate([
    {
      name: 'cellar pull',
      prepare: `rm -rf ${work}; mkdir ${work}`,
      command: `exec "$CELLAR" --store ${work}/store pull docker://${image}`,
    },
    {
      name: 'skopeo copy',
      prepare: `rm -rf ${work}; mkdir ${work}`,
      command: `skopeo copy -q --src-tls-verify=false docker://${image} oci:${work}/oci:v1; sync -f ${work}`,
      after: `rm -rf ${work}`,
    },
  ]);
  reportClaim({ name: 'pull of an OCI image', ours, peer, peerName: 'skopeo copy + sync -f', goal: 1 });
} finally {
  registry.kill();
  await once(registry, 'exit');
  rmSync(scratch, { recursive: true });
}
finish();
