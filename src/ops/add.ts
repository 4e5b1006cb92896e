/**
 * `cellar add`: images into cellar.yaml. What is to be written is read back as part of the whole configuration before
 * the file is replaced, so that no added entry can break it; two that add at once wait for each other.
 */
import { chownSync, closeSync, openSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { addImages, imageLines, type NewImage, type Setting } from '../config/edit.ts';
import { readListing } from '../config/lists.ts';
import { readConfig, type ReadConfig, type WrittenImage } from '../config/load.ts';
import { showPlace } from '../config/place.ts';
import { absoluteSource } from '../config/paths.ts';
import { findConfig } from '../config/find.ts';
import { fromText } from '../core/bytes.ts';
import { CellarError, isCellarError } from '../core/errors.ts';
import { redact } from '../core/redact.ts';
import { parseReference, type Reference } from '../core/reference.ts';
import { sourceKindOf } from '../source/drivers.ts';
import { writeFileAtomic } from '../sys/atomic.ts';
import { isErrno, toCellarError } from '../sys/errno.ts';
import { flock } from '../sys/flock.ts';
import type { Context } from './context.ts';

export interface AddOptions {
  /** Of one image; as in the configuration, so variables may stand in both. */
  readonly name?: string | undefined;
  readonly source?: string | undefined;
  /** A list, or a directory that `wget -x` filled; in place of name and source. */
  readonly from?: string | undefined;
  /** Keys of the configuration, the same for every image that is added. */
  readonly settings: Readonly<Record<string, Setting>>;
  readonly dryRun?: boolean | undefined;
}

export interface AddResult {
  readonly config: string;
  readonly created: boolean;
  readonly added: readonly { readonly reference: Reference; readonly source: string }[];
  /** They stood there already, with the same settings. */
  readonly unchanged: readonly Reference[];
  /** Of a directory: what belongs to no host. */
  readonly skipped: readonly string[];
  /** The lines that are new. */
  readonly text: string;
  readonly dryRun: boolean;
}

/** @throws E_CONFIG, E_CONFIG_EXISTS, E_REFERENCE_INVALID, E_SOURCE_INVALID, E_USAGE */
export async function add(context: Context, options: AddOptions): Promise<AddResult> {
  const path = findConfig(context.configPath) ?? 'cellar.yaml';
  const { images, skipped } = imagesOf(options, dirname(resolve(path)));
  using _held = await holdDirectory(path, context.signal);
  const before = readIfThere(path);
  const present = readConfig(path, { env: process.env, text: before ?? '' });
  const wanted = await readNew(present, images);
  const added = wanted.filter((one) => isNew(present, one));
  const isAdded = new Set(added);
  const newImages = added.map(({ image }) => image);
  if (added.length > 0) {
    const after = addImages(before ?? '', newImages);
    readConfig(path, { env: process.env, text: after });
    if (options.dryRun !== true) replace(path, after);
  }
  return {
    config: path,
    created: before === undefined && added.length > 0,
    added: added.map(({ reference, written }) => ({ reference, source: redact(written.settings.source) })),
    unchanged: wanted.filter((one) => !isAdded.has(one)).map(({ reference }) => reference),
    skipped,
    text: added.length === 0 ? '' : imageLines(newImages),
    dryRun: options.dryRun === true,
  };
}

/** @param base the directory of the configuration, where the paths in it begin */
function imagesOf(
  { name, source, from, settings }: AddOptions,
  base: string,
): { images: NewImage[]; skipped: readonly string[] } {
  const common = { ...settings, ...pathsFrom(settings, base) };
  if (from !== undefined) {
    const { images, skipped } = readListing(from, base);
    return {
      images: images.map((listed) => ({
        name: listed.name.replace(/:latest$/, ''),
        settings: { source: listed.source, ...common },
      })),
      skipped,
    };
  }
  if (name === undefined || source === undefined)
    throw new CellarError('E_USAGE', {
      details: { problem: 'a name and a source are needed, or a list to take them from' },
      hint: 'cellar add NAME SOURCE, or cellar add --from FILE',
    });
  return { images: [{ name, settings: { source: sourceFrom(source, base), ...common } }], skipped: [] };
}

/** A path is given from where the command runs, and written from where the configuration lies. */
function sourceFrom(source: string, base: string): string {
  const here = process.cwd();
  return base === here || source.startsWith('${') ? source : absoluteSource(source, here);
}

function pathsFrom({ keyring }: AddOptions['settings'], base: string): Record<string, Setting> {
  if (keyring === undefined || base === process.cwd()) return {};
  return {
    keyring: Array.isArray(keyring)
      ? keyring.map((path: string) => resolve(path))
      : resolve(keyring as string),
  };
}

interface Wanted {
  readonly reference: Reference;
  readonly image: NewImage;
  readonly written: WrittenImage;
}

/** As the configuration would read them, in order. What is wrong is wrong with the command: it stands in no file yet. */
async function readNew({ readImages }: ReadConfig, images: readonly NewImage[]): Promise<Wanted[]> {
  const read = asUsage(() => readImages(imageLines(images)));
  // Variables may stand in the name of one image, and in none that a list brings.
  const [only] = read.keys();
  const wanted = images.map((image): Wanted => {
    const reference = images.length === 1 ? only! : parseReference(image.name);
    return { reference, image, written: read.get(reference)! };
  });
  for (const { written } of wanted) await requireDriver(written.settings);
  return wanted;
}

function asUsage<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!isCellarError(error, 'E_CONFIG')) throw error;
    const { hint, details } = error;
    throw new CellarError('E_USAGE', {
      details: { problem: String(details['problem']) },
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

async function requireDriver({ source, mirrors = [] }: WrittenImage['settings']): Promise<void> {
  const kind = sourceKindOf(source);
  if (kind === undefined)
    throw new CellarError('E_SOURCE_INVALID', {
      details: { source, problem: 'no kind of source is written like this' },
    });
  await (await kind.load()).open(source, { mirrors, http: {} })[Symbol.asyncDispose]();
}

function isNew({ written: present }: ReadConfig, { reference, written }: Wanted): boolean {
  const there = present.get(reference);
  if (there === undefined) return true;
  if (isDeepStrictEqual(there.settings, written.settings)) return false;
  throw new CellarError('E_CONFIG_EXISTS', {
    details: { place: showPlace(there.place), name: reference },
  });
}

/** The file is replaced, so what is locked is the directory that it lies in. */
async function holdDirectory(path: string, signal: AbortSignal): Promise<Disposable> {
  const directory = dirname(real(path));
  let fd: number;
  try {
    fd = openSync(directory, 'r');
  } catch (error) {
    throw toCellarError(error, { doing: 'opening the directory of the configuration', path: directory });
  }
  const held = { [Symbol.dispose]: () => closeSync(fd) };
  try {
    await flock(fd, 'exclusive', { signal });
    return held;
  } catch (error) {
    held[Symbol.dispose]();
    throw error;
  }
}

/** A link stays one, and the file keeps its owner and mode. */
function replace(path: string, text: string): void {
  const target = real(path);
  const stat = statSync(target, { throwIfNoEntry: false });
  try {
    writeFileAtomic(fromText(target), text, stat === undefined ? {} : { mode: stat.mode & 0o777 });
    if (stat !== undefined && process.geteuid?.() === 0) chownSync(target, stat.uid, stat.gid);
  } catch (error) {
    throw toCellarError(error, { doing: 'writing the configuration', path });
  }
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return resolve(path);
    throw toCellarError(error, { doing: 'looking for the configuration', path });
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw toCellarError(error, { doing: 'reading the configuration', path });
  }
}
