/** A directory read into entries, by the cheapest way that is right: for commits, upgrades and builds. */
import { toText, type ByteString } from '../../core/bytes.ts';
import { CellarError, isCellarError } from '../../core/errors.ts';
import type { Transaction } from '../../store/transaction.ts';
import type { Entry } from '../../tree/entry.ts';
import { hiddenEntries } from './scan.ts';
import { openCommitSource, type CommitWay, type SourceRequest } from './source.ts';
import type { Context } from '../context.ts';
import { ingestCandidates } from '../ingest/directory.ts';
import { withoutRecord } from '../deploy/tree-record.ts';

export interface ReadDirectory {
  readonly entries: readonly Entry[];
  readonly filesRead: number;
  readonly way: CommitWay;
}

/** Content is staged in the transaction. @throws as `commit` */
export async function readEntries(
  context: Context,
  transaction: Transaction,
  request: SourceRequest & {
    /** Made to every entry that is not taken over, before its content is stored. */
    readonly change?: (entry: Entry) => Entry;
  },
): Promise<ReadDirectory> {
  const { store, directory, row, change = (entry) => entry } = request;
  const record = row?.record;
  const exclude = (path: ByteString): boolean => path === record?.path || request.exclude(path);
  using stack = new DisposableStack();
  let root = directory;
  let filesRead = 0;
  try {
    const source = await openCommitSource(context, { ...request, exclude }, stack);
    root = source.root;
    const { way, original, unprojection } = source;
    const candidates = Iterator.from(source.candidates).map((candidate) => {
      if (candidate.read !== undefined) filesRead++;
      return candidate;
    });
    context.events({ type: 'step', step: 'scan', label: `reading ${toText(directory)}`, unit: 'files' });
    const found = await ingestCandidates(transaction, candidates, {
      ...context,
      restore: (entry, origin) => change(unprojection?.restore(entry, origin) ?? entry),
    });
    const hidden = unprojection === undefined ? [] : hiddenEntries(original, unprojection, found);
    const entries = merge(
      found,
      hidden.filter(({ path }) => !exclude(path)),
    );
    return {
      entries: record === undefined ? entries : withoutRecord(store, entries, { ...record, original }),
      filesRead,
      way,
    };
  } catch (error) {
    throw inTermsOf(directory, root, error);
  }
}

function merge(found: Entry[], hidden: readonly Entry[]): readonly Entry[] {
  if (hidden.length === 0) return found;
  return [...found, ...hidden].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Root reads through a view of its own, whose path nobody knows. */
function inTermsOf(directory: ByteString, root: ByteString, error: unknown): unknown {
  if (!isCellarError(error) || root === directory) return error;
  const { code, details, hint, cause } = error;
  const replaced = Object.entries(details).map(([name, value]) => [
    name,
    typeof value === 'string' ? value.replaceAll(toText(root), toText(directory)) : value,
  ]);
  return new CellarError(code, {
    details: Object.fromEntries(replaced) as CellarError['details'],
    ...(hint === undefined ? {} : { hint }),
    cause,
  });
}
