/**
 * Claims: exporting .tar.zst takes no longer than `tar c | zstd -3 -T2`, .tar.gz no longer than `tar c | pigz -6 -p2`,
 * at the same size within 3 %.
 */
import { statSync } from 'node:fs';
import { alternate, lab, runs, shell, tarKeep } from './lib/measure.ts';
import { finish, reportClaim, reportFigure } from './lib/report.ts';

const work = `${lab}/mnt/ext4/bench`;
const store = `"$CELLAR" --store ${work}/store`;
const tar = `${lab}/tars/base-v1.tar`;
shell(
  `rm -rf ${work}; mkdir -p ${work}/x; ${store} import ${tar} base; tar -C ${work}/x ${tarKeep} -xpf ${tar}`,
);
for (const [suffix, packer, count] of [
  ['zst', 'zstd -q -3 -T2', runs],
  ['gz', 'pigz -6 -p2', Math.min(runs, 3)],
] as const) {
  const [out, theirs] = [`${work}/out.tar.${suffix}`, `${work}/peer.tar.${suffix}`];
  const [ours = [], peer = []] = alternate(
    [
      { name: 'cellar export', prepare: `rm -f ${out}`, command: `exec ${store} export base ${out}` },
      {
        name: packer,
        prepare: `rm -f ${theirs}`,
        command: `tar -C ${work}/x ${tarKeep} --sort=name -cf - . | ${packer} >${theirs}`,
      },
    ],
    { count },
  );
  reportClaim({ name: `export .tar.${suffix}`, ours, peer, peerName: `tar c \\| ${packer}`, goal: 1 });
  const [size, wanted] = [statSync(out).size, statSync(theirs).size];
  reportFigure({
    name: `size of .tar.${suffix}`,
    found: `${(size / 1e6).toFixed(1)} MB, ${((size / wanted - 1) * 100).toFixed(1)} % over the peer`,
    wanted: `≤ ${((wanted * 1.03) / 1e6).toFixed(1)} MB`,
    pass: size <= wanted * 1.03,
  });
  shell(`rm -f ${out} ${theirs}`);
}
shell(`rm -rf ${work}`);
finish();
