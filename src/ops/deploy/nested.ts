/**
 * Artifacts inside a tree that is put in service, such as the initramfs of a system under `boot`: another image, packed
 * by the same code as the target of that kind, so that the same image gives the same bytes in either place. That code
 * is loaded only where something is nested.
 */
import { join } from 'node:path';
import { fromText } from '../../core/bytes.ts';
import type { Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import type { Platform } from '../../core/platform.ts';
import type { Version, Workbench } from '../../deploy/port.ts';
import type { NestedFile } from '../../store/deployments.ts';
import { leaseTree } from '../../store/lease.ts';
import type { Store } from '../../store/store.ts';
import type { Transaction } from '../../store/transaction.ts';
import { readTree } from '../../store/trees.ts';
import { noXattrs, type Entry } from '../../tree/entry.ts';
import { placeFile } from '../../tree/place-file.ts';
import type { Context } from '../context.ts';
import { fetchMissing, type MissingOptions } from '../fetch-missing.ts';
import { resolveTree } from '../resolve-tree.ts';
import { requirePathInTree } from './tree-record.ts';

/** An image, and the path of its archive in the parent; the suffix of the path says how it is packed. */
export interface Nesting {
  readonly reference: string;
  readonly path: string;
}

/** @throws E_NOT_FOUND, E_NOT_CACHED */
export async function fetchNested(
  context: Context,
  nested: readonly Nesting[],
  options: Omit<MissingOptions, 'reference'>,
): Promise<void> {
  for (const { reference } of nested) await fetchMissing(context, { ...options, reference });
}

/** What each comes from now. @throws E_NOT_FOUND, E_NOT_A_TREE, E_USAGE for a path that is none */
export async function resolveNested(
  context: Context,
  store: Store,
  { nested, platform }: { nested: readonly Nesting[]; platform?: Platform | undefined },
): Promise<readonly ResolvedNesting[]> {
  const resolved: ResolvedNesting[] = [];
  for (const { reference, path } of nested) {
    const { tree } = await resolveTree(context, store, reference, { platform });
    resolved.push({ reference, path: requirePathInTree(path), tree });
  }
  return resolved;
}

export interface ResolvedNesting extends Nesting {
  readonly tree: Digest;
}

export interface Nested {
  readonly entries: readonly Entry[];
  /** As they lie in the tree. */
  readonly files: readonly NestedFile[];
}

/** Their bytes are staged in the transaction. @throws E_NEST_PLACE */
export async function nestInto(
  transaction: Pick<Transaction, 'ingest' | 'store'>,
  { entries, nested }: { readonly entries: readonly Entry[]; readonly nested: readonly ResolvedNesting[] },
  bench: Workbench,
): Promise<Nested> {
  const { newestTime } = await import('../../deploy/artifact/artifact.ts');
  const { writeCpio } = await import('../../deploy/artifact/cpio.ts');
  const { ingestFile } = await import('../ingest/file.ts');
  let whole = entries;
  const files: NestedFile[] = [];
  for (const [index, { reference, path, tree }] of nested.entries()) {
    using _lease = await leaseTree(transaction.store, tree, bench.signal);
    const file = join(bench.scratch, `nested-${index}-${tree.slice(0, 12)}`);
    await writeCpio({ tree, file, path }, bench);
    const mtime = newestTime(bench.entries(tree));
    const content = await ingestFile(transaction.ingest, file, metaAt(mtime));
    const made = { reference, path, tree, mtime, ...content };
    files.push(made);
    whole = withFile(whole, made);
  }
  return { entries: whole, files };
}

/** A tree as it was put in service with these files. */
export function withNested(entries: readonly Entry[], files: readonly NestedFile[] = []): readonly Entry[] {
  return files.reduce(withFile, entries);
}

export interface NestedVersion extends Disposable {
  readonly version: Version;
  readonly files: readonly NestedFile[];
}

/** A version of the tree with them in it, which is kept from gc until disposed. @throws E_NEST_PLACE, E_NOT_A_TREE */
export async function nestedVersion(
  context: Context,
  store: Store,
  { version, nested }: { readonly version: Version; readonly nested: readonly ResolvedNesting[] },
  bench: Workbench,
): Promise<NestedVersion> {
  const { tree, record, reference } = version;
  if (nested.length === 0) return { version, files: [], [Symbol.dispose]() {} };
  if (tree === undefined)
    throw new CellarError('E_NOT_A_TREE', {
      details: { reference, kind: record.kind },
      hint: 'an artifact is nested in a tree',
    });
  const { inTransaction } = await import('../gc/bound.ts');
  return await inTransaction(context, store, async (transaction) => {
    const { entries, files } = await nestInto(transaction, { entries: readTree(store, tree), nested }, bench);
    const { content } = await transaction.commit({
      ...{ entries, platform: record.platform, labels: record.labels },
      provenance: { via: 'commit', source: reference, verified: 'no' },
      ...{ references: [], action: 'commit' },
    });
    const lease = await leaseTree(store, content, bench.signal);
    return { version: { ...version, tree: content }, files, [Symbol.dispose]: () => lease[Symbol.dispose]() };
  });
}

function withFile(entries: readonly Entry[], file: NestedFile): readonly Entry[] {
  const { reference, path, size, digest, mtime } = file;
  const entry: Entry = {
    ...{ path: fromText(path), type: 'file', size, rdev: 0 },
    ...metaAt(mtime),
    ...(digest === undefined ? {} : { digest }),
  };
  return placeFile(
    entries,
    entry,
    (problem) => new CellarError('E_NEST_PLACE', { details: { reference, path, problem } }),
  );
}

/** The clock of whoever packs it is no part of it. */
function metaAt(mtime: number) {
  return { mode: 0o644, uid: 0, gid: 0, mtime, mtimeNsec: 0, xattrs: noXattrs };
}
