/**
 * The export of an image for container tools: as an OCI layout, in a directory or an archive, or as what `docker load`
 * reads. One that was pulled as an OCI image has the manifest, configuration and layers that it came with, byte for byte;
 * a tree becomes an image of one layer, the same as at the targets for runtimes.
 */
import { existsSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { CellarError, isCellarError } from '../../core/errors.ts';
import { parseSelector } from '../../core/reference.ts';
import { ociImageOf } from '../../deploy/oci/image.ts';
import { layoutArchive, layoutFiles, tagOf, writeLayout, type LayoutFile } from '../../deploy/oci/layout.ts';
import { leaseTree } from '../../store/lease.ts';
import type { Image } from '../../store/resolve.ts';
import type { Store } from '../../store/store.ts';
import { noteUse } from '../../store/used.ts';
import { fsyncDir } from '../../sys/atomic.ts';
import { fromText } from '../../core/bytes.ts';
import { toCellarError } from '../../sys/errno.ts';
import { openWorkbench } from '../deploy/workbench.ts';
import type { Context } from '../context.ts';
import type { ChosenExport, Exported, ImageFormat } from '../export.ts';
import { checkDestination, openOutput, partialBeside, requireParent } from './output.ts';
import { resolveTree } from '../resolve-tree.ts';
import { writeSums } from './sums.ts';

type OciExport = ChosenExport & { readonly format: ImageFormat };

/** @throws E_USAGE, E_DESTINATION_EXISTS, E_OBJECT_DAMAGED, E_OBJECT_MISSING, E_NO_SPACE */
export async function exportOci(
  context: Context,
  store: Store,
  { record, digest, platform }: Image,
  options: OciExport,
): Promise<Exported> {
  const { reference, resolved, destination, format, key, dryRun } = options;
  const { events, signal } = context;
  if (format === 'oci') checkDirectory(options);
  else checkDestination(destination);
  // Of an image that is OCI already no tree is made.
  const tree =
    record.kind === 'oci' ? undefined : (await resolveTree(context, store, resolved, { platform })).tree;
  const result = {
    ...{ reference, content: record.content, destination, format, skipped: 0 },
    ...(tree === undefined ? {} : { tree }),
  };
  if (dryRun === true) return { ...result, bytes: 0 };
  noteUse(store, digest);
  using _lease = tree === undefined ? undefined : await leaseTree(store, tree, signal);
  await using bench = openWorkbench(context, store);
  const version = { record: { ...record, platform }, reference, ...(tree === undefined ? {} : { tree }) };
  const image = await ociImageOf(version, bench);
  let done = 0;
  async function* counted(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      yield chunk;
      events({ type: 'progress', step: 'export', done: (done += chunk.length) });
    }
  }
  const files = layoutFiles(image, {
    tag: tagOf(reference),
    name: wholeName(reference),
    docker: format === 'docker-archive',
  }).map((file) => ({ ...file, read: () => counted(file.read()) }));
  const total = files.reduce((sum, { size }) => sum + size, 0);
  events({ type: 'step', step: 'export', label: `exporting ${reference}`, unit: 'bytes', total });
  if (format === 'oci') {
    await writeDirectory(destination, files);
    events({ type: 'step-end', step: 'export' });
    return { ...result, bytes: total };
  }
  const hash = options.sums === true;
  await using output = openOutput(destination, { hash, durable: hash, expected: total, signal });
  for await (const chunk of layoutArchive(files)) await output.write(chunk);
  const { bytes, sums } = output.finish();
  events({ type: 'step-end', step: 'export' });
  if (sums !== undefined) await writeSums(destination, { ...sums, key }, events);
  return { ...result, bytes, ...sums };
}

function checkDirectory({ destination, sums }: OciExport): void {
  if (destination === '-' || sums === true)
    throw new CellarError('E_USAGE', {
      details: { problem: `a layout is a directory: ${sums === true ? 'it has no sum' : 'name one'}` },
      hint: '--format oci-archive writes one file',
    });
  if (!isEmptyOrAbsent(destination))
    throw new CellarError('E_DESTINATION_EXISTS', {
      details: { path: destination },
      hint: 'choose another directory',
    });
  requireParent(resolve(destination));
}

function isEmptyOrAbsent(path: string): boolean {
  if (!existsSync(path)) return true;
  try {
    return readdirSync(path).length === 0;
  } catch {
    return false;
  }
}

/** It appears whole or not at all. */
async function writeDirectory(destination: string, files: readonly LayoutFile[]): Promise<void> {
  const path = resolve(destination);
  const partial = partialBeside(path);
  try {
    await writeLayout(partial, files);
    if (existsSync(path)) rmdirSync(path);
    renameSync(partial, path);
    fsyncDir(fromText(dirname(path)));
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw toCellarError(error, { doing: 'writing', path: destination });
  }
}

/** Nothing where the image was named by what is no name for others. */
function wholeName(text: string): string | undefined {
  try {
    const selector = parseSelector(text);
    return selector.by === 'reference' ? selector.reference : undefined;
  } catch (error) {
    if (isCellarError(error)) return undefined;
    throw error;
  }
}
