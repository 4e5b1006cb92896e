/** Claim: an import takes less than half of `ostree commit` of the same archive (without devices, which it refuses). */
import { alternate, lab } from './lib/measure.ts';
import { finish, reportClaim } from './lib/report.ts';

const work = `${lab}/mnt/ext4/bench`;
const tar = `${lab}/tars/base-v1.nodev.tar`;
const [ours = [], peer = []] = alternate([
  {
    name: 'cellar import',
    prepare: `rm -rf ${work}; mkdir ${work}; cat ${tar} >/dev/null`,
    command: `exec "$CELLAR" --store ${work}/store import ${tar} base`,
  },
  {
    name: 'ostree commit',
    prepare: `rm -rf ${work}; mkdir ${work}; ostree --repo=${work}/repo init --mode=bare; cat ${tar} >/dev/null`,
    command: `exec ostree --repo=${work}/repo commit -b base --tree=tar=${tar} --tar-autocreate-parents`,
    after: `rm -rf ${work}`,
  },
]);
reportClaim({ name: 'import .tar beside OSTree', ours, peer, peerName: 'ostree commit', goal: 0.5 });
finish();
