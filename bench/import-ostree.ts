/** Claim: an import takes less than half of `ostree commit` of the same archive (without devices, which it refuses). */
import { alternate, lab } from './lib/measure.ts';
import { finish, reportClaim } from './lib/report.ts';
import { workplace } from './lib/workplace.ts';

const { work, emptied, firstImport } = workplace();
const tar = `${lab}/tars/base-v1.nodev.tar`;
const [ours = [], peer = []] = alternate([
  firstImport(tar),
  {
    name: 'ostree commit',
    prepare: `${emptied({ archives: [tar] })}; ostree --repo=${work}/repo init --mode=bare`,
    command: `exec ostree --repo=${work}/repo commit -b base --tree=tar=${tar} --tar-autocreate-parents`,
    after: `rm -rf ${work}`,
  },
]);
reportClaim({ name: 'import .tar beside OSTree', ours, peer, peerName: 'ostree commit', goal: 0.5 });
finish();
