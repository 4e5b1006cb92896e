/** Claims: pulling a packed archive takes no longer than curl, zstd and tar in a pipe with `sync -f`; again, next to nothing. */
import { alternate, lab, median, tarKeep } from './lib/measure.ts';
import { startNginx } from './lib/nginx.ts';
import { finish, reportClaim, reportFigure } from './lib/report.ts';

const work = `${lab}/mnt/ext4/bench`;
await using nginx = await startNginx(`${lab}/tars`);
const url = `${nginx.url}/base-v1.tar.zst`;
const pull = `"$CELLAR" --store ${work}/store pull --verify no ${url} base`;
const [ours = [], peer = []] = alternate([
  {
    name: 'cellar pull',
    prepare: `rm -rf ${work}; mkdir ${work}; curl -sf ${url} >/dev/null`,
    command: `exec ${pull}`,
  },
  {
    name: 'curl | zstd | tar',
    prepare: `rm -rf ${work}; mkdir -p ${work}/x`,
    command: `curl -sf ${url} | zstd -qdc | tar -C ${work}/x ${tarKeep} -xpf -; sync -f ${work}/x`,
  },
]);
reportClaim({
  name: 'pull .tar.zst over HTTP',
  ours,
  peer,
  peerName: 'curl \\| zstd -dc \\| tar x + sync -f',
  goal: 1,
});

const [again = [], start = []] = alternate([
  { name: 'pull again', prepare: `test -e ${work}/store || ${pull}`, command: `exec ${pull}` },
  { name: 'start', command: 'exec "$CELLAR" --version', after: 'true' },
]);
const beyond = (median(again.map(({ wall }) => wall)) - median(start.map(({ wall }) => wall))) * 1000;
reportFigure({
  name: 'unchanged pull, beyond process start',
  found: `${beyond.toFixed(0)} ms`,
  wanted: '≤ 100 ms',
  pass: beyond <= 100,
});
finish();
