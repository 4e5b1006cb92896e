/**
 * Memory for bytes on their way. Fresh memory costs more than what is done with it (a collector that runs for it, pages
 * that the kernel clears), so a block serves again as soon as everybody who uses it has let go of it.
 */
import { pageAligned } from '../sys/aligned.ts';

export const blockBytes = 1 << 20;

export interface Block {
  /** Aligned as direct I/O wants it. */
  readonly memory: Buffer;
  users: number;
}

/** Kept for the next download; what is left over when many end at once is collected. */
const idle: Buffer[] = [];
const mostIdle = 32;

/** With one user. */
export function takeBlock(): Block {
  return { memory: idle.pop() ?? pageAligned(blockBytes), users: 1 };
}

export function letGo(block: Block): void {
  block.users--;
  if (block.users === 0 && idle.length < mostIdle) idle.push(block.memory);
}
