/**
 * A TCP relay that hands on every chunk a fixed time after it came, both ways: what a long way adds to requests and
 * answers, for kernels without netem.  usage: delay-proxy.ts LISTEN_ADDRESS LISTEN_PORT TARGET_PORT MILLISECONDS
 */
import { connect, createServer, type Socket } from 'node:net';

const [address = '', listen = '', target = '', delay = ''] = process.argv.slice(2);

createServer((client) => {
  const server = connect(Number(target), '127.0.0.1');
  relay(client, server);
  relay(server, client);
}).listen(Number(listen), address);

function relay(from: Socket, to: Socket): void {
  const later = (work: () => void): unknown => setTimeout(work, Number(delay));
  from.on('data', (chunk) => {
    later(() => {
      // What the other side does not take yet has to wait here, as it would in the queues of a network.
      if (!to.write(chunk) && !from.isPaused()) {
        from.pause();
        to.once('drain', () => from.resume());
      }
    });
  });
  from.on('end', () => later(() => to.end()));
  from.on('error', () => to.destroy());
  from.on('close', () => later(() => to.destroySoon()));
}
