/**
 * Claims: exporting .tar.zst takes no longer than `tar c | zstd -3 -T2`, .tar.gz no longer than `tar c | pigz -6 -p2`,
 * at the same size within 3 %.
 */
import { statSync } from 'node:fs';
import { alternate, runs, shell, tarKeep } from './lib/measure.ts';
import { finish, reportClaim, reportFigure } from './lib/report.ts';
import { storeAndUnpack, workplace } from './lib/workplace.ts';

const place = workplace();
const { work, store } = place;
storeAndUnpack(place);
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
place.clear();
finish();
