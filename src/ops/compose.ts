/**
 * `cellar compose`: trees put together by reference. Only manifests are read and written; every file of the result is
 * an object that the store has already.
 */
import { readDevices, readSplitRules } from '../config/compose-files.ts';
import { toText } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import { parsePlatform, type Platform } from '../core/platform.ts';
import type { PartOfImage } from '../core/record.ts';
import { parseReference, type Reference } from '../core/reference.ts';
import type { NewRecord } from '../store/commit-rows.ts';
import { refuseDamaged } from '../store/damaged.ts';
import { leaseTree } from '../store/lease.ts';
import { openStore, requireWritable, type Store } from '../store/store.ts';
import { beginTransaction, type CommitResult, type Preview } from '../store/transaction.ts';
import { readTree, treeObjects } from '../store/trees.ts';
import { composeTrees, type Conflict, type OnConflict, type Part } from '../tree/compose.ts';
import type { Entry } from '../tree/entry.ts';
import { mergeTrees } from '../tree/merge.ts';
import { splitTree, type SplitResult, type SplitRule } from '../tree/split.ts';
import { makeRoomForManifests } from './gc/bound.ts';
import type { Context } from './context.ts';
import { elapsedSince } from './elapsed.ts';
import { fetchMissing } from './fetch-missing.ts';
import { integrate } from './integrate.ts';
import { logFileOf } from './log-file.ts';
import { resolveTree, type TreeImage } from './resolve-tree.ts';

export interface ComposeOptions {
  /** The reference to set; with `split` and without `artifacts`, what those of the artifacts begin with. */
  readonly reference: string;
  /** What is put together, in order. */
  readonly from: readonly string[];
  readonly platform?: string | undefined;
  /** Default `error`. */
  readonly onConflict?: OnConflict | undefined;
  /** Files with lists of devices. */
  readonly devices?: readonly string[] | undefined;
  /** A file of rules. */
  readonly split?: string | undefined;
  /** Only these artifacts of each part. */
  readonly artifacts?: readonly string[] | undefined;
  /** A directory of the composed tree whose scripts are run in it; a dry run runs none. */
  readonly integrate?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly offline?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
}

export interface ComposeResult {
  readonly images: readonly ComposedImage[];
  readonly parts: readonly PartOfImage[];
  /** Paths on which parts differed, decided by `onConflict`. */
  readonly conflicts: readonly { readonly path: string; readonly parts: readonly string[] }[];
  /** Paths that no rule matches: they are in no artifact. */
  readonly unmatched: readonly string[];
  /** Paths that rules of several artifacts match; the first has them. */
  readonly overlaps: readonly { readonly artifacts: readonly string[]; readonly paths: readonly string[] }[];
  readonly dryRun: boolean;
  readonly elapsedMs: number;
}

export interface ComposedImage {
  readonly reference: Reference;
  readonly artifact?: string;
  /** Absent in a dry run. */
  readonly image?: Digest;
  readonly tree: Digest;
  readonly files: number;
  readonly bytes: number;
}

/** @throws E_NOT_FOUND, E_NOT_CACHED, E_MERGE_CONFLICT, E_CONFIG for rules and devices, E_USAGE, E_NO_SPACE, E_STORE_FULL */
export async function compose(context: Context, options: ComposeOptions): Promise<ComposeResult> {
  const started = performance.now();
  const { artifacts = [], dryRun = false } = options;
  const reference = parseReference(options.reference);
  const rules = options.split === undefined ? undefined : readSplitRules(options.split);
  checkArtifacts(artifacts, rules);
  const devices = (options.devices ?? []).flatMap((file) => readDevices(file));
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
  for (const part of options.from)
    await fetchMissing(context, { reference: part, platform, offline: options.offline, dryRun });
  using store = openStore(context.storeRoot);
  requireWritable(store);
  await using stack = new AsyncDisposableStack();
  const parts = await openParts(context, store, { from: options.from, platform, stack });
  const about: About = { options, parts, platform: platformOf(parts, platform) };
  const chosen = parts.map((part) => choose(part, rules, artifacts));
  const { entries: union, conflicts } = composeTrees(
    chosen.map(({ part }) => part),
    { devices, onConflict: options.onConflict ?? 'error' },
  );
  const entries =
    options.integrate === undefined || dryRun
      ? union
      : await integrate(context, store, {
          entries: union,
          directory: options.integrate,
          log: logFileOf(store, 'compose', reference),
          image: imageOf(about, { reference }),
          stack,
        });
  const split = rules !== undefined && artifacts.length === 0 ? splitTree(entries, rules) : undefined;
  const pieces = split === undefined ? [{ reference, entries }] : piecesOf(split, reference);
  const images = await writePieces(context, store, { about, pieces });
  const splits = [...chosen.map((part) => part.split), split].filter((one) => one !== undefined);
  return {
    images,
    parts: identities(about),
    conflicts: conflicts.map(showConflict),
    ...report(splits),
    dryRun,
    elapsedMs: elapsedSince(started),
  };
}

/** What all images of one command have in common. */
interface About {
  readonly options: ComposeOptions;
  readonly parts: readonly OpenPart[];
  readonly platform: Platform;
}

function imageOf(about: About, { reference, artifact }: Omit<Piece, 'entries'>): NewRecord {
  const { options, platform } = about;
  return {
    platform,
    labels: options.labels ?? {},
    provenance: {
      via: 'compose',
      source: options.from.join(' ') + (artifact === undefined ? '' : ` (${artifact})`),
      verified: 'no',
      parts: identities(about),
    },
    references: [reference],
    action: 'compose',
  };
}

function identities({ parts, options: { artifacts = [] } }: About): PartOfImage[] {
  return parts.map(({ text, image }) => ({
    reference: text,
    image: image.digest,
    ...(artifacts.length === 0 ? {} : { artifacts: artifacts.map(bare) }),
  }));
}

/** Room for all of them is made before the first is written. */
async function writePieces(
  context: Context,
  store: Store,
  { about, pieces }: { about: About; pieces: readonly Piece[] },
): Promise<ComposedImage[]> {
  const dryRun = about.options.dryRun === true;
  if (!dryRun)
    await makeRoomForManifests(
      context,
      store,
      pieces.map(({ entries, reference }) => ({ entries, references: [reference] })),
    );
  const images: ComposedImage[] = [];
  for (const { entries, ...name } of pieces)
    images.push({
      ...name,
      ...(await write(context, store, { image: imageOf(about, name), entries, dryRun })),
    });
  return images;
}

/** `system-devel:1` for `system:1`. @throws E_REFERENCE_INVALID */
function artifactReference(reference: Reference, artifact: string): Reference {
  const colon = reference.lastIndexOf(':');
  return parseReference(`${reference.slice(0, colon)}-${artifact}${reference.slice(colon)}`);
}

interface OpenPart {
  readonly text: string;
  readonly image: TreeImage;
  readonly entries: readonly Entry[];
}

/** Resolved, and kept from gc until `stack` is disposed. */
async function openParts(
  context: Context,
  store: Store,
  given: { from: readonly string[]; platform: Platform | undefined; stack: AsyncDisposableStack },
): Promise<OpenPart[]> {
  const parts: OpenPart[] = [];
  for (const text of given.from) {
    const image = await resolveTree(context, store, text, { platform: given.platform });
    given.stack.use(await leaseTree(store, image.tree, context.signal));
    refuseDamaged(store, () => treeObjects(store, image.tree));
    parts.push({ text, image, entries: readTree(store, image.tree) });
  }
  return parts;
}

/** The artifacts of a part that take part; one that was built to bootstrap others brings no devices. */
function choose(
  { text, image, entries }: OpenPart,
  rules: readonly SplitRule[] | undefined,
  artifacts: readonly string[],
): { part: Part; split?: SplitResult } {
  const own =
    image.record.labels['build-mode'] === 'bootstrap'
      ? entries.filter(({ type }) => type !== 'char' && type !== 'block')
      : entries;
  if (rules === undefined || artifacts.length === 0) return { part: { name: text, entries: own } };
  const split = splitTree(own, rules);
  const wanted = artifacts.map((name) => split.artifacts.get(bare(name)) ?? []);
  return { part: { name: text, entries: mergeTrees(wanted) }, split };
}

function bare(artifact: string): string {
  return artifact.replace(/^-/, '');
}

function checkArtifacts(artifacts: readonly string[], rules: readonly SplitRule[] | undefined): void {
  if (artifacts.length === 0) return;
  if (rules === undefined)
    throw new CellarError('E_USAGE', { details: { problem: '--artifact needs the rules of --split' } });
  const known = new Set(rules.map(({ artifact }) => artifact));
  const unknown = artifacts.find((name) => !known.has(bare(name)));
  if (unknown !== undefined)
    throw new CellarError('E_USAGE', {
      details: { problem: `no rule makes an artifact '${unknown}'` },
      hint: `they make ${[...known].join(', ')}`,
    });
}

function platformOf(parts: readonly OpenPart[], wanted: Platform | undefined): Platform {
  const platforms = new Set(parts.map(({ image }) => image.platform));
  const [platform, ...others] = platforms;
  if (wanted !== undefined || others.length === 0) return wanted ?? platform!;
  const list = parts.map(({ text, image }) => `${text} ${image.platform}`).join(', ');
  throw new CellarError('E_USAGE', {
    details: { problem: `the parts are for different platforms: ${list}` },
  });
}

/** A tree that gets a reference of its own. */
interface Piece {
  readonly reference: Reference;
  readonly artifact?: string;
  readonly entries: readonly Entry[];
}

function piecesOf({ artifacts }: SplitResult, reference: Reference): Piece[] {
  return [...artifacts].map(([artifact, entries]) => ({
    reference: artifactReference(reference, artifact),
    artifact,
    entries,
  }));
}

async function write(
  { signal }: Context,
  store: Store,
  { image, entries, dryRun }: { image: NewRecord; entries: readonly Entry[]; dryRun: boolean },
): Promise<Omit<ComposedImage, 'reference' | 'artifact'>> {
  await using transaction = await beginTransaction(store, { signal });
  if (dryRun) return size(await transaction.preview({ entries }));
  const written = await transaction.commit({ ...image, entries });
  return { image: written.image, ...size(written) };
}

function size(of: Preview | CommitResult): Pick<ComposedImage, 'tree' | 'files' | 'bytes'> {
  if ('record' in of) return { tree: of.content, files: of.record.files, bytes: of.record.bytes };
  return { tree: of.tree, files: of.files, bytes: of.bytes };
}

function showConflict({ path, parts }: Conflict): ComposeResult['conflicts'][number] {
  return { path: toText(path), parts };
}

function report(splits: readonly SplitResult[]): Pick<ComposeResult, 'unmatched' | 'overlaps'> {
  return {
    unmatched: splits.flatMap(({ unmatched }) => unmatched.map(toText)),
    overlaps: splits.flatMap(({ overlaps }) =>
      overlaps.map(({ artifacts, paths }) => ({ artifacts, paths: paths.map(toText) })),
    ),
  };
}
