/** Claim: a hard-link checkout takes no longer than `cp -al` of the same tree. */
import { alternate, lab, shell, tarKeep } from './lib/measure.ts';
import { finish, reportClaim } from './lib/report.ts';

const work = `${lab}/mnt/ext4/bench`;
const store = `"$CELLAR" --store ${work}/store`;
const tar = `${lab}/tars/base-v1.tar`;
shell(
  `rm -rf ${work}; mkdir -p ${work}/x; ${store} import ${tar} base; tar -C ${work}/x ${tarKeep} -xpf ${tar}`,
);
const [ours = [], peer = []] = alternate(
  [
    {
      name: 'cellar checkout',
      command: `exec ${store} checkout --method hardlink base ${work}/c`,
      after: `${store} release ${work}/c; rm -rf ${work}/c`,
    },
    { name: 'cp -al', command: `exec cp -al ${work}/x ${work}/y`, after: `rm -rf ${work}/y` },
  ],
  { warmUp: true },
);
reportClaim({ name: 'hard-link checkout', ours, peer, peerName: 'cp -al', goal: 1 });
shell(`rm -rf ${work}`);
finish();
