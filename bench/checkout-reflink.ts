/** Claim: a reflink checkout takes no longer than `cp -a --reflink=always` of the same tree (xfs). */
import { alternate, lab, shell, tarKeep } from './lib/measure.ts';
import { finish, reportClaim } from './lib/report.ts';

const work = `${lab}/mnt/xfs/bench`;
const store = `"$CELLAR" --store ${work}/store`;
const tar = `${lab}/tars/base-v1.tar`;
shell(
  `rm -rf ${work}; mkdir -p ${work}/x; ${store} import ${tar} base; tar -C ${work}/x ${tarKeep} -xpf ${tar}`,
);
const [ours = [], peer = []] = alternate(
  [
    {
      name: 'cellar checkout',
      command: `exec ${store} checkout --method reflink base ${work}/c`,
      after: `${store} release ${work}/c; rm -rf ${work}/c`,
    },
    {
      name: 'cp -a --reflink=always',
      command: `exec cp -a --reflink=always ${work}/x ${work}/y`,
      after: `rm -rf ${work}/y`,
    },
  ],
  { warmUp: true },
);
reportClaim({ name: 'reflink checkout (xfs)', ours, peer, peerName: 'cp -a --reflink=always', goal: 1 });
shell(`rm -rf ${work}`);
finish();
