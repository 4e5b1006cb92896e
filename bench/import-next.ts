/**
 * Claims: the next version (5 % changed) takes at most half of the first import, an unchanged image 0.35 of it:
 * both the very file that was imported before and another copy of it, which has to be read.
 */
import { alternate, lab } from './lib/measure.ts';
import { finish, reportClaim } from './lib/report.ts';
import { workplace } from './lib/workplace.ts';

const { work, store, emptied } = workplace();
const [v1, v2] = [`${lab}/tars/base-v1.tar`, `${lab}/tars/base-v2.tar`];
const [first = [], next = [], same = [], copy = []] = alternate([
  { name: 'first', prepare: emptied({ archives: [v1, v2] }), command: `exec ${store} import ${v1} base` },
  { name: 'next', command: `exec ${store} import ${v2} base` },
  { name: 'unchanged', command: `exec ${store} import ${v2} base` },
  {
    name: 'unchanged copy',
    prepare: `cp ${v2} ${work}/copy.tar`,
    command: `exec ${store} import ${work}/copy.tar base`,
    after: `rm -rf ${work}`,
  },
]);
const peerName = 'first import';
reportClaim({ name: 'import of the next version', ours: next, peer: first, peerName, goal: 0.5 });
reportClaim({ name: 'import of an unchanged image', ours: same, peer: first, peerName, goal: 0.35 });
reportClaim({
  name: 'import of an unchanged image, another copy of the archive',
  ours: copy,
  peer: first,
  peerName,
  goal: 0.35,
});
finish();
