/**
 * Connections that read into memory which serves again. Node gives every read of a socket fresh memory, 64 KiB at a
 * time, and what clears and collects that costs more than the bytes.
 *
 * A slab may be filled again when all bytes of bodies that were delivered up to its last filling have been taken.
 */
import type { IncomingMessage } from 'node:http';
import { connect, type Socket, type TcpNetConnectOpts } from 'node:net';

/** Who takes a body tells it here, so that its memory can serve again. */
export interface Receiver {
  begin(message: IncomingMessage): void;
  /** The chunk that was taken last is of no more use. */
  done(bytes: number): void;
  end(): void;
}

interface Slab {
  readonly memory: Buffer;
  /** The position in all bodies together at which its last byte is taken; infinite when that is not known. */
  until: number;
}

/** Most answers are small. */
const slabBytes = { first: 64 << 10, next: 1 << 20 };
/** Less room than this is not worth a read. */
const leastBytes = 32 << 10;

/** The memory of all slabs. */
const slabs = new WeakSet<ArrayBufferLike>();
const receivers = new WeakMap<Socket, Receiver>();

/** `undefined` for connections that read as Node does. */
export function receiverOf(socket: Socket): Receiver | undefined {
  return receivers.get(socket);
}

/**
 * Gives back the memory of a chunk that nobody uses any more, where it is the chunk's own: Node's parser copies bodies.
 * Left to the collector, whole collections would be run for it, one after the other.
 */
export function giveBack({ buffer, byteLength }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength && !slabs.has(buffer))
    buffer.transfer(0);
}

function newSlab(bytes: number): Slab {
  const memory = Buffer.allocUnsafeSlow(bytes);
  slabs.add(memory.buffer);
  return { memory, until: 0 };
}

export function connectReceiving(options: TcpNetConnectOpts): Socket {
  let slab = newSlab(slabBytes.first);
  let used = 0;
  let full: Slab[] = [];
  let taken = 0;
  let message: IncomingMessage | undefined;

  const room = (): Buffer => {
    if (slab.memory.length - used < leastBytes) {
      full = full.filter(({ until }) => until !== Infinity);
      if (slab.memory.length === slabBytes.next) full.push(slab);
      const [oldest] = full;
      const again = oldest !== undefined && oldest.until <= taken ? full.shift() : undefined;
      slab = again ?? newSlab(slabBytes.next);
      used = 0;
    }
    return slab.memory.subarray(used);
  };
  const socket: Socket = connect({
    ...options,
    onread: {
      buffer: room,
      callback(length: number) {
        const goOn = socket.push(slab.memory.subarray(used, used + length));
        used += length;
        // What has gone through the parser is with the message; it takes all of a piece at once.
        const known = message !== undefined && socket.readableLength === 0;
        slab.until = known ? taken + message!.readableLength : Infinity;
        return goOn;
      },
    },
  });
  receivers.set(socket, {
    begin(of) {
      message = of;
    },
    done(bytes) {
      taken += bytes;
    },
    end() {
      message = undefined;
    },
  });
  return socket;
}
