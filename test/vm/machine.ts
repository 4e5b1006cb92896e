/** A virtual machine without hardware help, told what to do over a serial port, whose power can be cut. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GuestImage } from './image.ts';

export interface Machine extends AsyncDisposable {
  /** Runs a script with `sh -e`; resolves whatever its exit code is. */
  run(script: string): Promise<{ readonly code: number; readonly output: string }>;
  /** As `run`, for a script that has to succeed. @returns what it printed */
  ok(script: string): Promise<string>;
  /** The power is gone: what the guest has not written yet is lost. */
  cut(): Promise<void>;
}

export interface Disk {
  /** Raw. */
  readonly file: string;
  /** Every write and flush goes there as well: see write-log.ts. */
  readonly log?: string;
  readonly readOnly?: boolean;
}

/** In the guest a disk is `/dev/NAME`; `cache` has to be one of them. `directory` holds what belongs to this boot. */
export async function boot(
  image: GuestImage,
  disks: Readonly<Record<string, Disk>>,
  directory: string,
): Promise<Machine> {
  const socket = join(directory, 'serial');
  const console = join(directory, 'console');
  for (const file of [socket, console]) rmSync(file, { force: true });
  const child = spawn(
    'qemu-system-x86_64',
    [
      ...['-nodefaults', '-display', 'none', '-no-reboot', '-accel', 'tcg,thread=multi', '-cpu', 'max'],
      ...['-smp', '2', '-m', '1536', '-device', 'virtio-rng-pci'],
      ...['-kernel', image.kernel, '-initrd', image.initramfs],
      ...['-append', 'console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on'],
      ...['-serial', `file:${console}`, '-serial', `unix:${socket},server=on,wait=off`],
      ...Object.entries({ root: { file: image.root, readOnly: true }, ...disks }).flatMap(([name, disk]) => [
        ...['-blockdev', JSON.stringify(blockdev(disk, name))],
        ...['-device', `virtio-blk-pci,drive=${name},serial=${name},write-cache=on`],
      ]),
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr.on('data', (text: Buffer) => (said += text.toString()));
  const kill = (): boolean => child.kill('SIGKILL');
  process.once('exit', kill);
  const ended = once(child, 'close').then(() => {
    process.off('exit', kill);
    const tail = existsSync(console) ? readFileSync(console, 'latin1').slice(-4000) : '';
    return new Error(`the guest is gone\n${said}${tail}`);
  });
  const serial = await connect(socket, ended);
  const lines = linesOf(serial, ended);
  await lines.until(/^=== ready$/);
  const run: Machine['run'] = async (script) => {
    serial.write(`${Buffer.from(script).toString('base64')}\n`);
    const { match, before } = await lines.until(/^=== exit (\d+)$/);
    return { code: Number(match[1]), output: before.replace(/\n$/, '') };
  };
  const cut = async (): Promise<void> => {
    kill();
    await ended;
    serial.destroy();
  };
  return {
    run,
    async ok(script) {
      const { code, output } = await run(script);
      if (code !== 0) throw new Error(`in the guest: ${script}\nexit ${code}: ${output}`);
      return output;
    },
    cut,
    [Symbol.asyncDispose]: cut,
  };
}

function blockdev({ file, log, readOnly = false }: Disk, name: string): object {
  const raw = { driver: 'file', filename: file };
  if (log === undefined) return { 'node-name': name, driver: 'raw', 'read-only': readOnly, file: raw };
  return { 'node-name': name, driver: 'blklogwrites', file: raw, log: { driver: 'file', filename: log } };
}

async function connect(path: string, ended: Promise<Error>): Promise<Socket> {
  let error: Error | undefined;
  void ended.then((gone) => (error = gone));
  for (;;) {
    if (error !== undefined) throw error;
    const socket = createConnection(path);
    try {
      await once(socket, 'connect');
      socket.on('error', () => undefined);
      return socket;
    } catch {
      await sleep(50);
    }
  }
}

interface Lines {
  /** Waits for a line that matches; what came before it is handed out too. */
  until(pattern: RegExp): Promise<{ readonly match: RegExpExecArray; readonly before: string }>;
}

function linesOf(socket: Socket, ended: Promise<Error>): Lines {
  let text = '';
  let wake = (): void => undefined;
  let error: Error | undefined;
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
    wake();
  });
  void ended.then((gone) => {
    error = gone;
    wake();
  });
  return {
    async until(pattern) {
      for (;;) {
        let start = 0;
        for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
          const match = pattern.exec(text.slice(start, end).replace(/\r$/, ''));
          if (match !== null) {
            const before = text.slice(0, start);
            text = text.slice(end + 1);
            return { match, before };
          }
          start = end + 1;
        }
        if (error !== undefined) throw error;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
  };
}
