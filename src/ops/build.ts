/**
 * `cellar build`: an image prepared by a recipe. The work is done in a private copy that becomes an image when all of it
 * succeeded, and that nobody ever sees before. The same base, recipe and inputs are worked on once.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { inputsDigest } from '../build/inputs.ts';
import { prepare } from '../build/prepare.ts';
import { readRecipe, type Recipe } from '../build/recipe.ts';
import { commandEnvironment, defaultTimeout, openRunner } from '../build/runner.ts';
import { requireRoot } from '../build/sandbox.ts';
import { toText } from '../core/bytes.ts';
import { sha256, type Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import { hostPlatform, parsePlatform, type Platform } from '../core/platform.ts';
import type { ImageRecord } from '../core/record.ts';
import { parseReference, type Reference } from '../core/reference.ts';
import { findBuilt, rememberBuilt } from '../store/built.ts';
import { referToContent, type NewRecord } from '../store/commit-rows.ts';
import { leaseTree } from '../store/lease.ts';
import { platformsOf } from '../store/references.ts';
import { enterFlight } from '../store/single-flight.ts';
import { openToFill } from '../store/dry-run.ts';
import { requireWritable, type Store } from '../store/store.ts';
import { beginTransaction, type Transaction } from '../store/transaction.ts';
import { readTree } from '../store/trees.ts';
import { diffTrees, type Change, type TreeDiff } from '../tree/diff.ts';
import type { Entry } from '../tree/entry.ts';
import { inTransaction } from './gc/bound.ts';
import type { Context } from './context.ts';
import { elapsedSince } from './elapsed.ts';
import { fetchMissing } from './fetch-missing.ts';
import { logFileOf } from './log-file.ts';
import { resolveTree, type TreeImage } from './resolve-tree.ts';
import { openWorkspace } from './workspace.ts';

export interface BuildOptions {
  /** A recipe file. */
  readonly recipe: string;
  /** Default: the one in the recipe. */
  readonly reference?: string | undefined;
  /** Variables, instead of the recipe's own. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  /** Seconds since the epoch: SOURCE_DATE_EPOCH, and the newest time that anything in the tree may have. */
  readonly clock?: number | undefined;
  /** Milliseconds for all commands. Default: the recipe's, else 20 minutes. */
  readonly timeout?: number | undefined;
  /** Where all output goes. Default: in the store, one for each reference. */
  readonly log?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly platform?: string | undefined;
  readonly force?: boolean | undefined;
  /** Build once more, and compare. */
  readonly reproduce?: boolean | undefined;
  readonly offline?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
}

export interface BuildResult {
  readonly reference: Reference;
  /** `cached`: built before, and now named by the reference; `unchanged`: named so already. */
  readonly change: 'built' | 'cached' | 'unchanged';
  /** Absent in a dry run that would build. */
  readonly image?: Digest;
  readonly tree?: Digest;
  readonly files?: number;
  readonly bytes?: number;
  /** Digest of all that the image depends on, as far as the recipe says. */
  readonly inputs: Digest;
  /** Image built upon. */
  readonly base?: Digest;
  readonly log?: string;
  /** Of a second build; no differences when it came to the same tree. */
  readonly differences?: readonly { readonly path: string; readonly changed: readonly string[] }[];
  readonly dryRun: boolean;
  readonly elapsedMs: number;
}

/** @throws E_CONFIG, E_NOT_FOUND, E_NOT_ALLOWED without root, E_BUILD_COMMAND, E_BUILD_TIMEOUT, E_NO_SPACE, E_STORE_FULL, … */
export async function build(context: Context, options: BuildOptions): Promise<BuildResult> {
  const started = performance.now();
  const { force = false, reproduce = false, dryRun = false } = options;
  const recipe = readRecipe(options.recipe, options.settings);
  const reference = chooseReference(options, recipe);
  await fetchBase(context, recipe, options);
  using store = openToFill(context.storeRoot, options);
  requireWritable(store);
  using _flight = await enterFlight(store.root, `build ${reference}`, context);
  const work = await workFor(context, store, { recipe, reference, options });
  const { image, inputs, base } = work;
  using _base = base && (await leaseTree(store, base.tree, context.signal));
  const known = force ? undefined : findBuilt(store, inputs);
  const result = (built: Partial<BuildResult>, change: BuildResult['change']): BuildResult => ({
    reference,
    change,
    inputs,
    ...(base === undefined ? {} : { base: base.digest }),
    ...built,
    dryRun,
    elapsedMs: elapsedSince(started),
  });
  if (known !== undefined) {
    const { image: digest, record } = known;
    const before = platformsOf(store, reference).find(({ platform }) => platform === record.platform)?.image;
    const named = dryRun ? digest : (await name(context, store, record, image)).image;
    const facts = factsOf(named, record);
    const change = named === before ? 'unchanged' : 'cached';
    if (!reproduce || dryRun) return result(facts, change);
    const again = await prepared(context, store, work);
    const differences = shown(diffTrees(readTree(store, record.content), again));
    return result({ ...facts, log: work.log, differences }, change);
  }
  if (dryRun) return result({}, 'built');
  const { digest, record } = await buildAndCommit(context, store, work);
  const facts = { ...factsOf(digest, record), log: work.log };
  if (!reproduce) return result(facts, 'built');
  const again = await prepared(context, store, work);
  return result({ ...facts, differences: shown(diffTrees(readTree(store, record.content), again)) }, 'built');
}

interface Work {
  readonly recipe: Recipe;
  readonly base: TreeImage | undefined;
  readonly inputs: Digest;
  readonly clock: number | undefined;
  readonly timeout: number;
  readonly log: string;
  readonly image: NewRecord;
}

async function workFor(
  context: Context,
  store: Store,
  given: { recipe: Recipe; reference: Reference; options: BuildOptions },
): Promise<Work> {
  const { recipe, reference, options } = given;
  const wanted = platformWanted(recipe, options);
  const base =
    recipe.base === undefined
      ? undefined
      : await resolveTree(context, store, recipe.base, { platform: wanted });
  const platform = wanted ?? base?.platform ?? hostPlatform;
  const clock = options.clock ?? recipe.clock;
  return {
    recipe,
    base,
    inputs: inputsDigest({ recipe, tree: base?.tree, platform, clock }),
    clock,
    timeout: options.timeout ?? recipe.timeout ?? defaultTimeout,
    log: options.log ?? logFileOf(store, 'build', reference),
    image: {
      platform,
      labels: { ...recipe.labels, ...options.labels },
      provenance: {
        via: 'build',
        source: resolve(options.recipe),
        sourceDigest: sha256(readFileSync(options.recipe)),
        verified: 'no',
        ...(base === undefined ? {} : { parent: base.digest }),
      },
      references: [reference],
      action: 'build',
    },
  };
}

/** The lock is taken when all commands are done, so that a long build keeps nobody waiting. */
async function buildAndCommit(
  context: Context,
  store: Store,
  work: Work,
): Promise<{ digest: Digest; record: ImageRecord }> {
  await using workspace = await prepareWorkspace(context, store, work);
  const commit = async (transaction: Transaction): Promise<{ digest: Digest; record: ImageRecord }> => {
    const entries = await workspace.read(transaction, clampedTo(work.clock));
    const { image: digest, record } = await transaction.commit({ ...work.image, entries });
    rememberBuilt(store, work.inputs, { image: digest });
    return { digest, record };
  };
  return await inTransaction(context, store, commit, { workspace: workspace.directory });
}

/** The tree that it comes to; nothing is stored. */
async function prepared(context: Context, store: Store, work: Work): Promise<Entry[]> {
  await using workspace = await prepareWorkspace(context, store, work);
  await using transaction = await beginTransaction(store, { signal: context.signal });
  return [...(await workspace.read(transaction, clampedTo(work.clock)))];
}

async function prepareWorkspace(
  context: Context,
  store: Store,
  { recipe, base, clock, timeout, log }: Work,
): Promise<Awaited<ReturnType<typeof openWorkspace>>> {
  requireRoot();
  await using stack = new AsyncDisposableStack();
  const workspace = stack.use(await openWorkspace(context, store, base?.tree));
  using runner = openRunner({
    root: workspace.root,
    log,
    timeout,
    environment: commandEnvironment({ ...recipe.variables, ...recipe.environment }, { clock }),
    network: recipe.network ?? true,
    signal: context.signal,
    events: context.events,
  });
  await prepare(recipe, { root: workspace.root, runner, clock });
  stack.move();
  return workspace;
}

/** Nothing in the tree is newer than the clock says. */
function clampedTo(clock: number | undefined): (entry: Entry) => Entry {
  if (clock === undefined) return (entry) => entry;
  return (entry) => (entry.mtime < clock ? entry : { ...entry, mtime: clock, mtimeNsec: 0 });
}

async function name(
  { signal }: Context,
  store: Store,
  { content }: ImageRecord,
  image: NewRecord,
): Promise<{ image: Digest }> {
  const written = await referToContent(store, { kind: 'tree', digest: content }, image, { signal });
  if (written === undefined) throw new CellarError('E_TREE_MISSING', { details: { tree: content } });
  return written;
}

function chooseReference({ reference }: BuildOptions, recipe: Recipe): Reference {
  const chosen = reference ?? recipe.reference;
  if (chosen !== undefined) return parseReference(chosen);
  throw new CellarError('E_USAGE', {
    details: { problem: 'neither the command nor the recipe names the reference to set' },
    hint: 'cellar build -f RECIPE REF',
  });
}

function platformWanted(recipe: Recipe, { platform }: BuildOptions): Platform | undefined {
  const text = platform ?? recipe.platform;
  return text === undefined ? undefined : parsePlatform(text);
}

async function fetchBase(context: Context, recipe: Recipe, options: BuildOptions): Promise<void> {
  if (recipe.base === undefined) return;
  const platform = platformWanted(recipe, options);
  const { offline, dryRun } = options;
  await fetchMissing(context, { reference: recipe.base, platform, offline, dryRun });
}

function factsOf(
  image: Digest,
  { content, files, bytes }: ImageRecord,
): Pick<BuildResult, 'image' | 'tree' | 'files' | 'bytes'> {
  return { image, tree: content, files, bytes };
}

function shown({ added, removed, changed }: TreeDiff): NonNullable<BuildResult['differences']> {
  const list = (changes: readonly Change[], what: string) =>
    changes.map(({ path, changed: aspects }) => ({
      path: toText(path),
      changed: aspects.length === 0 ? [what] : aspects,
    }));
  return [
    ...list(added, 'only the second time'),
    ...list(removed, 'only the first time'),
    ...list(changed, ''),
  ];
}
