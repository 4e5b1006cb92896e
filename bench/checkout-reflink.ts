/** Claim: a reflink checkout takes no longer than `cp -a --reflink=always` of the same tree (xfs). */
import { alternate } from './lib/measure.ts';
import { finish, reportClaim } from './lib/report.ts';
import { storeAndUnpack, workplace } from './lib/workplace.ts';

const place = workplace('xfs');
const { work } = place;
storeAndUnpack(place);
const [ours = [], peer = []] = alternate(
  [
    place.checkout('--method reflink'),
    {
      name: 'cp -a --reflink=always',
      command: `exec cp -a --reflink=always ${work}/x ${work}/y`,
      after: `rm -rf ${work}/y`,
    },
  ],
  { warmUp: true },
);
reportClaim({ name: 'reflink checkout (xfs)', ours, peer, peerName: 'cp -a --reflink=always', goal: 1 });
place.clear();
finish();
