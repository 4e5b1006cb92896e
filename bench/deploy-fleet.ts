/**
 * Claim: on plain ext4, each of 24 machines from one base costs 50 ms and no more disk than what differs, made by one
 * `apply` (its start included) or by a command for each (inside the process). Beside it, in the same run: `cp -a` of the
 * tree, a btrfs snapshot (what machinectl clone makes on btrfs), and an OSTree hard-link checkout (which must not be
 * written to).
 */
import { writeFileSync } from 'node:fs';
import { lab, median, shell } from './lib/measure.ts';
import { finish, reportFigure } from './lib/report.ts';

const machines = 24;
const ext4 = `${lab}/mnt/ext4/bench`;
const btrfs = `${lab}/mnt/btrfs/bench`;
const tree = `${lab}/trees/base-v1`;
const used = (path: string): number => Number(shell(`sync; df --output=used -B1 ${path} | tail -1`));
const seconds = (script: string): number => {
  const started = performance.now();
  shell(script);
  return (performance.now() - started) / 1000;
};
const each = Array.from({ length: machines }, (_, at) => `m${at}`);
const wipe = `for m in ${ext4}/machines/m*; do [ -e $m ] && CELLAR_MACHINES=${ext4}/machines "$CELLAR" --store ${ext4}/store undeploy machine:$(basename $m) --force; done; rm -rf ${ext4}`;

shell(`[ -d ${ext4}/machines ] && { ${wipe}; }; rm -rf ${ext4}; mkdir -p ${ext4}/machines
  "$CELLAR" --store ${ext4}/store import ${lab}/tars/base-v1.tar base`);
try {
  const deploy = (name: string): number => {
    const out = shell(
      `CELLAR_MACHINES=${ext4}/machines "$CELLAR" --json --store ${ext4}/store deploy base machine:${name}`,
    );
    const last = out.trimEnd().split('\n').at(-1) ?? '';
    return (JSON.parse(last) as { elapsedMs: number }).elapsedMs;
  };
  const first = deploy('first');
  const before = used(ext4);
  writeFileSync(
    `${ext4}/cellar.yaml`,
    [
      'version: 1',
      'deployments:',
      ...each.map((name) => `  ${name}: { image: base, target: 'machine:${name}' }`),
    ].join('\n'),
  );
  const apply = `CELLAR_MACHINES=${ext4}/machines "$CELLAR" -q --store ${ext4}/store --config ${ext4}/cellar.yaml apply`;
  const fleet = (seconds(apply) / machines) * 1000;
  const disk = (used(ext4) - before) / machines;
  report(
    'one apply, process start and all',
    `${fleet.toFixed(0)} ms each (first ${first} ms)`,
    '≤ 50 ms',
    fleet <= 50,
  );
  shell(wipe.replace(`; rm -rf ${ext4}`, ''));
  const times = each.map(deploy);
  report(
    'a command for each, inside the process',
    `${median(times).toFixed(0)} ms`,
    '≤ 50 ms',
    median(times) <= 50,
  );
  report('disk of each', `${(disk / 1024).toFixed(0)} KiB`, '≤ 256 KiB', disk <= 256 * 1024);

  const copies = 3;
  const copied = seconds(
    `mkdir ${ext4}/cp; for n in $(seq ${copies}); do cp -a ${tree} ${ext4}/cp/$n; done; sync -f ${ext4}`,
  );
  report(
    'cp -a',
    `${(copied / copies).toFixed(2)} s each, ${shell(`du -sh ${tree} | cut -f1`).trim()}`,
    '',
    true,
  );
  shell(
    `rm -rf ${btrfs}; mkdir ${btrfs}; btrfs -q subvolume create ${btrfs}/base; cp -a ${tree}/. ${btrfs}/base/`,
  );
  const snapshots = seconds(
    `for n in ${each.join(' ')}; do btrfs -q subvolume snapshot ${btrfs}/base ${btrfs}/$n; done`,
  );
  report('btrfs snapshot', `${((snapshots / machines) * 1000).toFixed(0)} ms each`, '', true);
  shell(`btrfs -q subvolume delete ${btrfs}/m* ${btrfs}/base; rm -rf ${btrfs}`);
  shell(`ostree --repo=${ext4}/os init --mode=bare
    ostree --repo=${ext4}/os commit -b base --tree=tar=${lab}/tars/base-v1.nodev.tar >/dev/null`);
  const links = seconds(
    `for n in ${each.join(' ')}; do ostree --repo=${ext4}/os checkout -H base ${ext4}/os-$n; done`,
  );
  report('ostree checkout -H', `${((links / machines) * 1000).toFixed(0)} ms each`, '', true);
} finally {
  shell(wipe.replace('m*', '*'));
}
finish();

function report(name: string, found: string, wanted: string, pass: boolean): void {
  reportFigure({ name: `24 machines: ${name}`, found, wanted, pass });
}
