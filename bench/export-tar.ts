/** Claim: exporting a .tar takes no longer than `tar c` of the extracted tree. */
import { alternate, lab, shell, tarKeep } from './lib/measure.ts';
import { finish, reportClaim } from './lib/report.ts';

const work = `${lab}/mnt/ext4/bench`;
const store = `"$CELLAR" --store ${work}/store`;
const tar = `${lab}/tars/base-v1.tar`;
shell(
  `rm -rf ${work}; mkdir -p ${work}/x; ${store} import ${tar} base; tar -C ${work}/x ${tarKeep} -xpf ${tar}`,
);
// Both write a file: GNU tar skips reading when its output is /dev/null.
const [ours = [], peer = []] = alternate(
  [
    {
      name: 'cellar export',
      prepare: `rm -f ${work}/out.tar`,
      command: `exec ${store} export base ${work}/out.tar`,
    },
    {
      name: 'tar c',
      prepare: `rm -f ${work}/out.tar`,
      command: `exec tar -C ${work}/x ${tarKeep} --sort=name -cf ${work}/out.tar .`,
    },
  ],
  { warmUp: true },
);
reportClaim({ name: 'export .tar', ours, peer, peerName: 'tar c', goal: 1 });
shell(`rm -rf ${work}`);
finish();
