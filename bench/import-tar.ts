/** Claim: importing a .tar, durably, takes no longer than `tar x` and `sync -f` of the same archive. */
import { alternate, lab, tarKeep } from './lib/measure.ts';
import { finish, reportClaim } from './lib/report.ts';
import { workplace } from './lib/workplace.ts';

const { work, emptied, firstImport } = workplace();
const tar = `${lab}/tars/base-v1.tar`;
const [ours = [], peer = []] = alternate(
  [
    firstImport(tar),
    {
      name: 'tar x',
      prepare: emptied({ directories: ['x'], archives: [tar] }),
      command: `tar -C ${work}/x ${tarKeep} -xpf ${tar}; sync -f ${work}/x`,
      after: `rm -rf ${work}`,
    },
  ],
  { warmUp: true },
);
reportClaim({ name: 'import .tar', ours, peer, peerName: 'tar x + sync -f', goal: 1 });
finish();
