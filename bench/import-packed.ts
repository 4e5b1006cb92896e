/** Claim: importing .tar.gz and .tar.zst takes no longer than the decompressor piped into `tar x`, and `sync -f`. */
import { alternate, lab, tarKeep } from './lib/measure.ts';
import { finish, reportClaim } from './lib/report.ts';
import { workplace } from './lib/workplace.ts';

const { work, emptied, firstImport } = workplace();
for (const [suffix, decompressor] of [
  ['gz', 'pigz -dc'],
  ['zst', 'zstd -qdc'],
] as const) {
  const tar = `${lab}/tars/base-v1.tar.${suffix}`;
  const [ours = [], peer = []] = alternate([
    firstImport(tar),
    {
      name: decompressor,
      prepare: emptied({ directories: ['x'], archives: [tar] }),
      command: `${decompressor} ${tar} | tar -C ${work}/x ${tarKeep} -xpf -; sync -f ${work}/x`,
      after: `rm -rf ${work}`,
    },
  ]);
  const peerName = `${decompressor} \\| tar x + sync -f`;
  reportClaim({ name: `import .tar.${suffix}`, ours, peer, peerName, goal: 1 });
}
finish();
