/** An archive's bytes to what they mean, without a store: entries by path, or the error's code. */
import { createHash } from 'node:crypto';
import { isCellarError } from '../../src/core/errors.ts';
import type { Entry } from '../../src/tree/entry.ts';
import { createLayering } from '../../src/tree/merge.ts';
import type { Accounts } from '../../src/tree/tar/acl.ts';
import type { MetadataCount } from '../../src/tree/tar/assemble.ts';
import { createLayerAssembler } from '../../src/tree/tar/layer.ts';
import { createTarParser, createTreeAssembler, type TarLimits, type TarMember } from './tar.ts';

export interface ReadOptions {
  readonly limits?: Partial<TarLimits>;
  /** Bytes in each push; default all at once. */
  readonly chunk?: number;
  readonly exclude?: (path: string) => boolean;
  readonly users?: Readonly<Record<string, number>>;
  readonly metadata?: MetadataCount;
}

const noLimits: TarLimits = { maxSize: 2 ** 40, maxFiles: 20_000_000 };

interface Assembler<T> {
  add(member: TarMember, content?: { digest: string | undefined; size: number }): unknown;
  finish(accounts: Accounts): T;
}

/** @throws CellarError */
export function readArchive(bytes: Uint8Array, options: ReadOptions = {}): Entry[] {
  const { exclude, metadata } = options;
  const assembler = createTreeAssembler({
    ...naming(options),
    ...(exclude === undefined ? {} : { exclude }),
    ...(metadata === undefined ? {} : { metadata }),
  });
  return read(bytes, options, assembler);
}

/** The tree that layers, from the lowest up, come to. @throws CellarError */
export function readLayers(layers: readonly Uint8Array[], options: ReadOptions = {}): Entry[] {
  const layering = createLayering({ whiteouts: true });
  for (const bytes of layers) {
    const assembler = createLayerAssembler({ ...naming(options), below: layering.below });
    layering.add(read(bytes, options, assembler));
  }
  return layering.finish();
}

function naming(options: ReadOptions): { source: string; maxFiles: number } {
  return { source: 'test.tar', maxFiles: options.limits?.maxFiles ?? noLimits.maxFiles };
}

function read<T>(bytes: Uint8Array, options: ReadOptions, assembler: Assembler<T>): T {
  const { users = {} } = options;
  const limits = { ...noLimits, ...options.limits };
  let content: { digest: string | undefined; size: number } | undefined;
  let pieces: Uint8Array[] = [];
  let member: TarMember | undefined;
  const parser = createTarParser(
    {
      member(next) {
        member = next;
        pieces = [];
        content = next.type === 'file' ? { digest: undefined, size: next.size } : undefined;
        assembler.add(next, content);
      },
      data(chunk, start, end) {
        pieces.push(Uint8Array.from(chunk.subarray(start, end)));
      },
      memberEnd() {
        if (content !== undefined) content.digest = digestOf(member!, Buffer.concat(pieces));
      },
    },
    { source: 'test.tar', limits },
  );
  const step = options.chunk ?? Math.max(bytes.length, 1);
  for (let at = 0; at < bytes.length; at += step) parser.push(bytes.subarray(at, at + step));
  parser.finish();
  const resolve = (name: string): number | undefined =>
    Object.hasOwn(users, name) ? users[name] : undefined;
  return assembler.finish({ resolveUser: resolve, resolveGroup: resolve });
}

/** SHA-256 of a file's content; holes of sparse files count as zeros (huge ones are named by their size alone). */
function digestOf({ sparse, size }: TarMember, stored: Buffer): string {
  if (sparse === undefined) return sha256(stored);
  if (size > 64 << 20) return `sparse:${size}`;
  const bytes = Buffer.alloc(size);
  let from = 0;
  for (const { offset, length } of sparse) {
    stored.copy(bytes, offset, from, from + length);
    from += length;
  }
  return sha256(bytes);
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The error's code, or `path → summary` of every entry but the root. Throws what is no CellarError. */
export function outcome(bytes: Uint8Array, options: ReadOptions = {}): string | Record<string, string> {
  return outcomeOf(() => readArchive(bytes, options));
}

export function outcomeOf(read: () => readonly Entry[]): string | Record<string, string> {
  try {
    return summary(read());
  } catch (error) {
    if (isCellarError(error)) return error.code;
    throw error;
  }
}

/** `type:mode size digest→target =hardlink`, as short as it can be said. */
export function summary(entries: readonly Entry[]): Record<string, string> {
  return Object.fromEntries(
    entries.filter(({ path }) => path !== '/').map((entry) => [entry.path, describe(entry)]),
  );
}

function describe({ type, size, digest, target, hardlink }: Entry): string {
  if (hardlink !== undefined) return `= ${hardlink}`;
  if (type === 'symlink') return `-> ${target}`;
  if (type !== 'file') return type;
  return size === 0 ? 'empty' : `${size} ${digest!.slice(0, 8)}`;
}

/** What `outcome` says of a file with this content. */
export function holds(content: string | Buffer): string {
  const bytes = Buffer.from(content as string, 'latin1');
  return bytes.length === 0 ? 'empty' : `${bytes.length} ${sha256(bytes).slice(0, 8)}`;
}
