/** Claim: exporting a .tar takes no longer than `tar c` of the extracted tree. */
import { alternate, tarKeep } from './lib/measure.ts';
import { finish, reportClaim } from './lib/report.ts';
import { storeAndUnpack, workplace } from './lib/workplace.ts';

const place = workplace();
const { work, store } = place;
storeAndUnpack(place);
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
place.clear();
finish();
