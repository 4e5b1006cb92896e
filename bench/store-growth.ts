/**
 * Claim: the store grows by no more than an OSTree bare repository for each further image, with composefs checkouts
 * and with hard-link checkouts under `--mtime=clamp`. What `--mtime=keep` costs is shown beside it.
 */
import { lab, shell } from './lib/measure.ts';
import { finish, reportFigure } from './lib/report.ts';
import { workplace } from './lib/workplace.ts';

const { work, emptied, clear } = workplace();
const images = ['base-v1', 'base-v2', 'svc-A', 'svc-B'];

/** MiB allocated below `path`, mounts not counted. */
function allocated(path: string): number {
  shell('sync');
  return Number(shell(`du -sx -B1 ${path}`).split('\t')[0]) / 2 ** 20;
}

/** MiB that each image adds to the store at `path`, once `add` ran for it. */
function growth(path: string, add: (image: string) => string): number[] {
  let before = allocated(path);
  return images.map((image) => {
    shell(add(image));
    const after = allocated(path);
    const added = after - before;
    before = after;
    return added;
  });
}

shell(`${emptied({})}; ostree --repo=${work}/repo init --mode=bare`);
const ostree = growth(
  `${work}/repo`,
  (image) =>
    `ostree --repo=${work}/repo commit -b ${image} --tree=tar=${lab}/tars/${image}.nodev.tar --tar-autocreate-parents`,
);
// Its checkouts of hard links have their directories outside the repository; ours are in the store. Together:
shell(`mkdir ${work}/o; mv ${work}/repo ${work}/o`);
const ostreeWithCheckouts = growth(
  `${work}/o`,
  (image) => `ostree --repo=${work}/o/repo checkout -H ${image} ${work}/o/${image}`,
).map((directories, index) => directories + (ostree[index] ?? NaN));
images.slice(1).forEach((image, index) =>
  reportFigure({
    name: `growth by ${image}, OSTree with hard-link checkouts`,
    found: `${ostreeWithCheckouts[index + 1]!.toFixed(0)} MiB`,
    wanted: '',
    pass: true,
  }),
);
const variants: readonly (readonly [string, string, boolean])[] = [
  ['composefs checkouts', '--method composefs', true],
  ['hard-link checkouts, --mtime=clamp', '--method hardlink --mtime clamp', true],
  ['hard-link checkouts, --mtime=keep', '--method hardlink --mtime keep', false],
];
for (const [label, flags, bound] of variants) {
  shell(`rm -rf ${work}/s; mkdir -p ${work}/s/store ${work}/c`);
  const ours = growth(
    `${work}/s`,
    (image) => `"$CELLAR" --store ${work}/s/store import ${lab}/tars/${image}.tar ${image.toLowerCase()}
      "$CELLAR" --store ${work}/s/store checkout ${flags} ${image.toLowerCase()} ${work}/c/${image}`,
  );
  images.forEach((image, index) => {
    const [found = NaN, wanted = NaN] = [ours[index], ostree[index]];
    const pass = !bound || index === 0 || Math.round(found) <= Math.round(wanted);
    const goal = bound && index > 0 ? `≤ ${wanted.toFixed(0)} MiB` : `(OSTree ${wanted.toFixed(0)} MiB)`;
    reportFigure({
      name: `growth by ${image}, ${label}`,
      found: `${found.toFixed(0)} MiB`,
      wanted: goal,
      pass,
    });
  });
  shell(
    `for c in ${images.join(' ')}; do "$CELLAR" --store ${work}/s/store release ${work}/c/$c; done; rm -rf ${work}/s ${work}/c`,
  );
}
clear();
finish();
