/** The thread that unpacks zstd: fills rooms with what comes of the pieces, both in their order. */
import { parentPort, workerData } from 'node:worker_threads';
import { openZstdDecoder } from '../../sys/libzstd.ts';
import { isEnding, serveMessages } from '../../sys/worker-thread.ts';
import { pieceBytes, type ToUnpack, type Unpacked, type UnpackSetup } from './unpack-protocol.ts';

const { packed } = workerData as UnpackSetup;
const decoder = openZstdDecoder()!;
// The library's memory is not given back with the thread.
parentPort!.once('close', () => decoder[Symbol.dispose]());
const pieces: { readonly piece: number; rest: Buffer }[] = [];
const rooms: Buffer[] = [];
const nothing = Buffer.alloc(0);
let used = 0;
let taken = 0;
let isBetween = true;
/** The library may hold unpacked bytes that had no room. */
let holds = false;
let hasEnded = false;
let isOver = false;

serveMessages((message: ToUnpack) => {
  if (message.type === 'room') rooms.push(Buffer.from(message.memory, message.start, message.length));
  else if (message.type === 'end') hasEnded = true;
  else {
    const start = message.piece * pieceBytes;
    pieces.push({ piece: message.piece, rest: Buffer.from(packed, start, message.length) });
  }
  for (let room = rooms[0]; room !== undefined && !isOver && !isEnding(); room = rooms[0])
    if (!fill(room)) return;
});

/** @returns whether it is full */
function fill(room: Buffer): boolean {
  while (used < room.length) {
    const [piece] = pieces;
    if (piece === undefined && !holds) {
      if (hasEnded) end({ type: 'over', used, taken, isBetween });
      return false;
    }
    const step = decoder.step(piece?.rest ?? nothing, room.subarray(used));
    if (step.problem !== undefined) {
      end({ type: 'broken', taken, problem: step.problem });
      return false;
    }
    ({ isBetween } = step);
    taken += step.read;
    used += step.written;
    holds = !isBetween && used === room.length;
    if (piece !== undefined) {
      piece.rest = piece.rest.subarray(step.read);
      if (piece.rest.length === 0) say({ type: 'taken', piece: pieces.shift()!.piece });
    }
    if (isEnding()) return false;
  }
  rooms.shift();
  used = 0;
  say({ type: 'filled' });
  return true;
}

function end(message: Unpacked): void {
  isOver = true;
  say(message);
}

function say(message: Unpacked): void {
  parentPort!.postMessage(message);
}
