/** Claim: `cellar --version` takes at most 1.5 times `node -e 0` of the same Node. */
import { alternate, nodeProgram } from './lib/measure.ts';
import { finish, reportClaim } from './lib/report.ts';

const [ours = [], peer = []] = alternate(
  [
    { name: 'cellar --version', command: 'exec "$CELLAR" --version' },
    { name: 'node -e 0', command: `exec ${nodeProgram} -e 0` },
  ],
  { count: 20, warmUp: true },
);
reportClaim({ name: 'cellar --version', ours, peer, peerName: 'node -e 0', goal: 1.5 });
finish();
