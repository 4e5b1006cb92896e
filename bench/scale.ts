/**
 * Claims: time grows linearly from 100,000 to 1,000,000 files, and a tree of a million takes at most 1 GB at its peak,
 * for import, import again, export, checkouts and fsck. `BENCH_FILES` bounds the largest tree. It is processor time
 * that has to grow linearly: how long a disk takes for a million files depends on what else it does and remembers. Of
 * fsck only memory is claimed: it reads all there is, and a million objects are not in the page cache as a tenth is.
 */
import { measureOnce, nodeProgram, shell, type Sample } from './lib/measure.ts';
import { finish, reportFigure } from './lib/report.ts';
import { workplace } from './lib/workplace.ts';

const { work, store, emptied, clear } = workplace();
const generator = new URL('./lib/many-files.ts', import.meta.url).pathname;
const largest = Number(process.env['BENCH_FILES'] ?? 1_000_000);
const sizes = [10_000, 100_000, 1_000_000].filter((size) => size <= largest);

const found = new Map<string, Sample[]>();
for (const size of sizes) {
  shell(`${emptied({})}; ${nodeProgram} ${generator} ${size} >${work}/in.tar`);
  const steps = {
    import: { command: `exec ${store} import ${work}/in.tar many` },
    'import again, reading all': { command: `exec ${store} import --reread ${work}/in.tar many` },
    'export .tar': { command: `exec ${store} export many ${work}/out.tar` },
    'checkout (first, with its EROFS image)': {
      command: `exec ${store} checkout many ${work}/c`,
      after: `${store} release ${work}/c`,
    },
    'hard-link checkout': {
      command: `exec ${store} checkout --method hardlink many ${work}/h`,
      after: `${store} release ${work}/h`,
    },
    fsck: { command: `exec ${store} fsck` },
  };
  for (const [name, step] of Object.entries(steps)) {
    found.set(name, [...(found.get(name) ?? []), measureOnce({ name, ...step })]);
  }
}
clear();
for (const [name, samples] of found) {
  const times = samples.map(({ wall, cpu }) => `${wall.toFixed(1)} s (cpu ${cpu.toFixed(1)} s)`).join(', ');
  const peak = Math.max(...samples.map((sample) => sample.peak));
  // Between the two largest: a tree of 10,000 is mostly the start of the process, against which all looks flat.
  const [small, large] = [samples.at(-2), samples.at(-1)];
  const growth = (large?.cpu ?? NaN) / (small?.cpu ?? NaN) / ((sizes.at(-1) ?? NaN) / (sizes.at(-2) ?? NaN));
  reportFigure({
    name: `${name}: ${sizes.map((size) => size.toLocaleString('en')).join(', ')} files`,
    found: `${times}; ${growth.toFixed(2)} × linear; peak ${peak.toFixed(0)} MiB`,
    wanted: name === 'fsck' ? '≤ 1024 MiB' : '≤ 1.2 × linear, ≤ 1024 MiB',
    pass: peak <= 1024 && (name === 'fsck' || !(growth > 1.2)),
  });
}
finish();
