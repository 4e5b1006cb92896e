/**
 * A user namespace to map owners through (user_namespaces(7)). A process must live in one while its map is written, and
 * Node, having threads, cannot move itself; so a child does, for the milliseconds it takes to open the descriptor.
 */
import { once } from 'node:events';
import { openSync, writeFileSync } from 'node:fs';
import { CellarError } from '../core/errors.ts';
import { childProcess } from './child-process.ts';
import { descriptor, type Descriptor } from './descriptor.ts';

/** Ids `inside … inside + count − 1` (as the file system holds them) appear as `outside …`. */
export interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

/**
 * The namespace lives as long as the descriptor or what is mapped through it. Needs root.
 * @throws CellarError E_MISSING_TOOL without unshare(1), E_NOT_ALLOWED where namespaces are forbidden
 */
export async function openUserNamespace(map: {
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
}): Promise<Descriptor> {
  // The child says a word once it is inside, then waits for its input to end.
  const child = childProcess().spawn('unshare', ['--user', 'sh', '-c', 'echo inside; read -r end'], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const messages: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => messages.push(chunk));
  child.stdin.on('error', () => undefined);
  const closed = once(child, 'close');
  try {
    const first = await Promise.race([once(child.stdout, 'data'), closed.then(() => undefined)]);
    if (first === undefined)
      throw new CellarError('E_NOT_ALLOWED', {
        details: { operation: 'making a user namespace', problem: Buffer.concat(messages).toString().trim() },
      });
    writeFileSync(`/proc/${child.pid}/uid_map`, render(map.uids));
    writeFileSync(`/proc/${child.pid}/gid_map`, render(map.gids));
    return descriptor(openSync(`/proc/${child.pid}/ns/user`, 'r'));
  } catch (error) {
    if (error instanceof Error && 'syscall' in error && error.syscall === 'spawn unshare')
      throw new CellarError('E_MISSING_TOOL', {
        details: { program: 'unshare', why: 'mapping owners', package: 'util-linux' },
        cause: error,
      });
    throw error;
  } finally {
    child.stdin.end();
    await closed.catch(() => undefined);
  }
}

function render(ranges: readonly IdRange[]): string {
  return ranges.map(({ inside, outside, count }) => `${inside} ${outside} ${count}\n`).join('');
}
