/** Claim: importing .tar.gz and .tar.zst takes no longer than the decompressor piped into `tar x`, and `sync -f`. */
import { alternate, lab, tarKeep } from './lib/measure.ts';
import { finish, reportClaim } from './lib/report.ts';

const work = `${lab}/mnt/ext4/bench`;
for (const [suffix, decompressor] of [
  ['gz', 'pigz -dc'],
  ['zst', 'zstd -qdc'],
] as const) {
  const tar = `${lab}/tars/base-v1.tar.${suffix}`;
  const [ours = [], peer = []] = alternate([
    {
      name: 'cellar import',
      prepare: `rm -rf ${work}; mkdir ${work}; cat ${tar} >/dev/null`,
      command: `exec "$CELLAR" --store ${work}/store import ${tar} base`,
    },
    {
      name: decompressor,
      prepare: `rm -rf ${work}; mkdir -p ${work}/x; cat ${tar} >/dev/null`,
      command: `${decompressor} ${tar} | tar -C ${work}/x ${tarKeep} -xpf -; sync -f ${work}/x`,
      after: `rm -rf ${work}`,
    },
  ]);
  const peerName = `${decompressor} \\| tar x + sync -f`;
  reportClaim({ name: `import .tar.${suffix}`, ours, peer, peerName, goal: 1 });
}
finish();
