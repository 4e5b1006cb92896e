/**
 * Claim: through a link of 50 ms delay and 200 Mbit/s a pull reaches nine tenths of the link. Server and client are
 * two network namespaces joined by a veth pair whose server side is paced by tbf; a relay adds the delay.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { alternate, lab, median, nodeProgram, shell } from './lib/measure.ts';
import { startNginx } from './lib/nginx.ts';
import { finish, reportFigure } from './lib/report.ts';

const work = `${lab}/mnt/ext4/bench`;
const megabits = 200;
const [server, client] = [`cellar${process.pid}s`, `cellar${process.pid}c`];
const inside = (space: string): string[] => ['ip', 'netns', 'exec', space];
const file = `${lab}/tars/base-v1.tar.zst`;

shell(`
  ip netns add ${server}; ip netns add ${client}
  ip link add veth0 netns ${server} type veth peer name veth0 netns ${client}
  ip -n ${server} addr add 10.77.0.1/24 dev veth0; ip -n ${client} addr add 10.77.0.2/24 dev veth0
  for ns in ${server} ${client}; do ip -n $ns link set veth0 up; ip -n $ns link set lo up; done
  ip netns exec ${server} tc qdisc add dev veth0 root tbf rate ${megabits}mbit burst 256kb latency 50ms`);
const relay = fileURLToPath(new URL('lib/delay-proxy.ts', import.meta.url));
const [program, ...args] = [...inside(server), nodeProgram, relay, '10.77.0.1', '8080', '8081', '25'];
const proxy = spawn(program as string, args, { stdio: 'inherit' });
try {
  await using _nginx = await startNginx(`${lab}/tars`, { port: 8081, wrapper: inside(server) });
  const url = 'http://10.77.0.1:8080/base-v1.tar.zst';
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
  proxy.kill();
  shell(`ip netns del ${server}; ip netns del ${client}`);
}
finish();
