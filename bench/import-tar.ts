/** Claim: importing a .tar, durably, takes no longer than `tar x` and `sync -f` of the same archive. */
import { alternate, lab, tarKeep } from './lib/measure.ts';
import { finish, reportClaim } from './lib/report.ts';

const work = `${lab}/mnt/ext4/bench`;
const tar = `${lab}/tars/base-v1.tar`;
const [ours = [], peer = []] = alternate(
  [
    {
      name: 'cellar import',
      prepare: `rm -rf ${work}; mkdir ${work}; cat ${tar} >/dev/null`,
      command: `exec "$CELLAR" --store ${work}/store import ${tar} base`,
    },
    {
      name: 'tar x',
      prepare: `rm -rf ${work}; mkdir -p ${work}/x; cat ${tar} >/dev/null`,
      command: `tar -C ${work}/x ${tarKeep} -xpf ${tar}; sync -f ${work}/x`,
      after: `rm -rf ${work}`,
    },
  ],
  { warmUp: true },
);
reportClaim({ name: 'import .tar', ours, peer, peerName: 'tar x + sync -f', goal: 1 });
finish();
