/** What a preparation depends on, in one digest: as long as it is the same there is nothing to do. */
import { openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fromText, toBytes, type ByteString } from '../core/bytes.ts';
import { jsonDigest } from '../core/canonical-json.ts';
import { sha256Stream, type Digest } from '../core/digest.ts';
import { descriptor } from '../sys/descriptor.ts';
import { lstatFull } from '../sys/stat.ts';
import { statInside } from './inside.ts';
import { readInstallList } from './install-list.ts';
import type { Recipe, RecipeFile } from './recipe.ts';

export interface BuildInputs {
  readonly recipe: Recipe;
  /** Of the base. */
  readonly tree: Digest | undefined;
  readonly platform: string;
  /** Seconds since the epoch. */
  readonly clock: number | undefined;
}

/** Raised when the same inputs come to another tree. */
const version = 1;

/** Files count with their content, mode and time; who owns them on this machine does not matter. @throws E_SOURCE_NOT_FOUND */
export function inputsDigest({ recipe, tree, platform, clock }: BuildInputs): Digest {
  const { directory, reference: _, labels: __, timeout: ___, ...said } = recipe;
  const files = (recipe.files ?? []).flatMap((file) => sourceOf(file, directory) ?? []);
  const installed = (recipe.configure?.install ?? []).flatMap((list) => {
    const path = resolve(directory, list);
    return readInstallList(path).map((line) => fromText(dirname(path)) + line.path);
  });
  return jsonDigest({
    ...{ version, tree: tree ?? null, platform, clock: clock ?? null },
    said: JSON.stringify(said),
    files: [...files, ...installed].map((path) => describe(path, clock)),
  });
}

/** Where a file is on this machine; absent for inline content. */
export function sourceOf({ host, from }: RecipeFile, directory: string): ByteString | undefined {
  if (host !== undefined) return fromText(resolve('/', host));
  return from === undefined ? undefined : fromText(resolve(directory, from));
}

function describe(path: ByteString, clock: number | undefined): unknown {
  const stat = statInside(path);
  if (stat === undefined) return null;
  const { perm, mtime, mtimeNsec } = lstatFull(path);
  const time = clock === undefined ? `${mtime}.${mtimeNsec}` : '';
  if (stat.isSymbolicLink()) return ['link', readlinkSync(toBytes(path), { encoding: 'latin1' }), time];
  if (stat.isDirectory()) {
    const names = readdirSync(toBytes(path), { encoding: 'latin1' }).sort();
    return ['directory', perm, time, names.map((name) => [name, describe(`${path}/${name}`, clock)])];
  }
  // What cannot be put into a tree is refused when it comes to that; a FIFO is not to be waited for until then.
  return stat.isFile() ? ['file', perm, time, hashFile(path)] : ['other', perm, time];
}

/** A piece at a time: an archive beside a recipe may be larger than any buffer. */
function hashFile(path: ByteString): Digest {
  using file = descriptor(openSync(toBytes(path), 'r'));
  const hasher = sha256Stream();
  const piece = Buffer.allocUnsafe(1 << 20);
  for (let count = readSync(file.fd, piece); count > 0; count = readSync(file.fd, piece))
    hasher.update(piece.subarray(0, count));
  return hasher.digest('hex');
}
