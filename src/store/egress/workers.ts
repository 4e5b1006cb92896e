/** The reading workers as the main thread sees them: questions, answers, and who has the least to do. */
import { availableParallelism } from 'node:os';
import { CellarError } from '../../core/errors.ts';
import { endWorker, startWorker } from '../../sys/worker-thread.ts';
import { inStore } from '../layout.ts';
import type { WorkerReads } from './layout.ts';
import type { EgressAnswer, EgressSetup, PackBatch } from './protocol.ts';

export interface EgressWorkers extends AsyncDisposable {
  idlest(): number;
  /** `length` is that of all the slot. @throws E_OBJECT_DAMAGED, E_OBJECT_MISSING, E_IO */
  read(batch: WorkerReads, length: number): Promise<void>;
  /** The length it has when it is packed. @throws E_IO */
  pack(slot: Omit<PackBatch, 'kind' | 'ticket'>): Promise<number>;
}

/** Packing a byte takes about as long as reading and hashing so many. */
const packingCost = 4;

export function startWorkers(root: string, memory: Omit<EgressSetup, 'objects'>): EgressWorkers {
  const answers = new Map<number, { resolve(answer: EgressAnswer): void; reject(error: unknown): void }>();
  let tickets = 0;
  const workers = Array.from({ length: Math.max(1, Math.min(4, availableParallelism())) }, () => {
    const setup: EgressSetup = { ...memory, objects: inStore(root, 'objects') };
    const thread = startWorker(new URL('./worker.ts', import.meta.url), setup);
    const { worker } = thread;
    worker.on('message', (answer: EgressAnswer) => {
      answers.get(answer.ticket)?.resolve(answer);
      answers.delete(answer.ticket);
    });
    worker.on('error', (error) => {
      for (const { reject } of answers.values()) reject(error);
    });
    return thread;
  });
  /** Work given to each and not answered, in bytes to be read. */
  const outstanding = workers.map(() => 0);
  const idlest = (): number => outstanding.indexOf(Math.min(...outstanding));

  async function ask(
    worker: number,
    message: object,
    { cost = 0, transfer = [] }: { cost?: number; transfer?: ArrayBuffer[] } = {},
  ): Promise<EgressAnswer> {
    const ticket = tickets++;
    outstanding[worker]! += cost;
    const answer = await new Promise<EgressAnswer>((resolve, reject) => {
      answers.set(ticket, { resolve, reject });
      workers[worker]!.worker.postMessage({ ...message, ticket }, transfer);
    });
    outstanding[worker]! -= cost;
    if (answer.error === undefined) return answer;
    const { code, object, found } = answer.error;
    if (code === 'E_IO')
      throw new CellarError('E_IO', { details: { doing: 'reading objects', path: root, problem: found } });
    throw new CellarError(code, { details: { object, found } });
  }

  return {
    idlest,
    async read({ worker, reads, digests }, length) {
      const transfer = [reads.buffer as ArrayBuffer];
      await ask(worker, { kind: 'read', reads, digests }, { cost: length, transfer });
    },
    async pack(slot) {
      const cost = slot.length * packingCost;
      const { packed } = await ask(idlest(), { kind: 'pack', ...slot }, { cost });
      return packed!;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(workers.map(endWorker));
    },
  };
}
