/** Claim: a hard-link checkout takes no longer than `cp -al` of the same tree. */
import { alternate } from './lib/measure.ts';
import { finish, reportClaim } from './lib/report.ts';
import { storeAndUnpack, workplace } from './lib/workplace.ts';

const place = workplace();
const { work } = place;
storeAndUnpack(place);
const [ours = [], peer = []] = alternate(
  [
    place.checkout('--method hardlink'),
    { name: 'cp -al', command: `exec cp -al ${work}/x ${work}/y`, after: `rm -rf ${work}/y` },
  ],
  { warmUp: true },
);
reportClaim({ name: 'hard-link checkout', ours, peer, peerName: 'cp -al', goal: 1 });
place.clear();
finish();
