/**
 * Claims: a composefs checkout takes at most a third of `ostree checkout -H` as a whole command, and at most 50 ms
 * inside the process after the first, read-only or writable, whatever the image's size.
 */
import { alternate, lab, median, shell } from './lib/measure.ts';
import { finish, reportClaim, reportFigure } from './lib/report.ts';
import { workplace } from './lib/workplace.ts';
import { checkout } from '../src/ops/checkout.ts';

const place = workplace();
const { work, store } = place;
shell(`${place.emptied({})}
  ${store} import ${lab}/tars/base-v1.tar base
  ${store} import ${lab}/tars/svc-A.tar larger
  ostree --repo=${work}/repo init --mode=bare
  ostree --repo=${work}/repo commit -b base --tree=tar=${lab}/tars/base-v1.nodev.tar --tar-autocreate-parents
  ${store} checkout base ${work}/first`);
const peer = {
  name: 'ostree checkout -H',
  command: `exec ostree --repo=${work}/repo checkout -H base ${work}/o`,
  after: `rm -rf ${work}/o`,
};
for (const [label, flags] of [
  ['read-only', ''],
  ['writable', '--writable'],
] as const) {
  const [ours = [], theirs = []] = alternate([place.checkout(`${flags} --method composefs`), peer]);
  reportClaim({ name: `composefs checkout, ${label}`, ours, peer: theirs, peerName: peer.name, goal: 1 / 3 });
}

// In one process, as a server of checkouts would.
for (const reference of ['base', 'larger']) {
  for (const writable of [false, true]) {
    const times: number[] = [];
    for (let index = 0; index <= 20; index++) {
      const started = performance.now();
      const directory = `${work}/in-${reference}-${String(writable)}-${index}`;
      const result = await checkout(
        { storeRoot: `${work}/store`, events: () => undefined, signal: new AbortController().signal },
        { reference, directory, writable },
      );
      if (result.method !== 'composefs') throw new Error(`method ${result.method}`);
      if (index > 0) times.push(performance.now() - started);
    }
    reportFigure({
      name: `composefs checkout in the process, ${writable ? 'writable' : 'read-only'}, ${reference}`,
      found: `${median(times).toFixed(1)} ms (${Math.min(...times).toFixed(1)}–${Math.max(...times).toFixed(1)})`,
      wanted: '≤ 50 ms',
      pass: median(times) <= 50,
    });
  }
}
shell(`for d in ${work}/in-* ${work}/first; do ${store} release $d; done`);
place.clear();
finish();
