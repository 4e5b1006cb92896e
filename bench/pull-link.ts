/**
 * Claim: through a link of 50 ms delay and 200 Mbit/s a pull reaches nine tenths of the link. Server and client are
 * two network namespaces joined by a veth pair whose queues delay and pace.
 */
import { alternate, lab, median, shell } from './lib/measure.ts';
import { startNginx } from './lib/nginx.ts';
import { finish, reportFigure } from './lib/report.ts';

const work = `${lab}/mnt/ext4/bench`;
const megabits = 200;
const space = `cellar${process.pid}`;
const [server, client] = [`${space}s`, `${space}c`];
const file = `${lab}/tars/base-v1.tar.zst`;

shell(`
  ip netns add ${server}; ip netns add ${client}
  ip link add veth0 netns ${server} type veth peer name veth0 netns ${client}
  ip -n ${server} addr add 10.77.0.1/24 dev veth0; ip -n ${client} addr add 10.77.0.2/24 dev veth0
  for ns in ${server} ${client}; do
    ip -n $ns link set veth0 up
    ip netns exec $ns tc qdisc add dev veth0 root netem delay 25ms rate ${megabits}mbit limit 20000
  done`);
try {
  await using nginx = await startNginx(`${lab}/tars`, {
    address: '10.77.0.1',
    port: 8080,
    wrapper: ['ip', 'netns', 'exec', server],
  });
  const url = `${nginx.url}/base-v1.tar.zst`;
  const [ours = [], peer = []] = alternate([
    {
      name: 'cellar pull',
      prepare: `rm -rf ${work}; mkdir ${work}`,
      command: `exec ip netns exec ${client} "$CELLAR" --store ${work}/store pull --verify no ${url} base`,
      after: `rm -rf ${work}`,
    },
    { name: 'curl', command: `exec ip netns exec ${client} curl -sf -o /dev/null ${url}` },
  ]);
  const bytes = Number(shell(`stat -c %s ${file}`));
  const share = (walls: readonly number[]): number => (bytes * 8) / 1e6 / median(walls) / megabits;
  const [own, curl] = [share(ours.map(({ wall }) => wall)), share(peer.map(({ wall }) => wall))];
  reportFigure({
    name: 'pull through 50 ms and 200 Mbit/s',
    found: `${(own * 100).toFixed(0)} % of the link (curl to /dev/null: ${(curl * 100).toFixed(0)} %)`,
    wanted: '≥ 90 %',
    pass: own >= 0.9,
  });
} finally {
  shell(`ip netns del ${server}; ip netns del ${client}`);
}
finish();
