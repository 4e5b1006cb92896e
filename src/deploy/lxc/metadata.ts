/**
 * What an image server gives beside a root file system for LXC: a small archive of flat files. Of each there may be
 * one for system containers or a later format; which one counts is decided as lxc-download(1) does.
 */
import { CellarError } from '../../core/errors.ts';
import { toText } from '../../core/bytes.ts';
import { decompress } from '../../tree/compress/decompress.ts';
import { createTarParser } from '../../tree/tar/parse.ts';
import { cleanName } from '../../tree/tar/member-name.ts';
import type { Version, Workbench } from '../port.ts';

export const lxcMetadataName = 'lxc-meta.tar.xz';

/** Content of the metadata's files by their names, without directories. */
export type LxcMetadata = ReadonlyMap<string, Buffer>;

const isFlat = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;
const limits = { maxSize: 4 << 20, maxFiles: 200 };

/** The newest format of LXC's metadata that its versions since 1.0 read. */
const compatLevels = [7, 6, 5, 4, 3, 2, 1];

/** @returns `undefined` for an image that brought none @throws E_ARCHIVE_*, E_OBJECT_MISSING, E_OBJECT_DAMAGED */
export async function lxcMetadata(
  { record, reference }: Version,
  bench: Workbench,
): Promise<LxcMetadata | undefined> {
  const digest = record.attachments?.[lxcMetadataName];
  if (digest === undefined) return undefined;
  const source = `${lxcMetadataName} of ${reference}`;
  const files = new Map<string, Buffer>();
  let name: string | undefined;
  let pieces: Buffer[] = [];
  const parser = createTarParser(
    {
      member({ path, type }) {
        const clean = toText(cleanName(path)).replace(/^\//, '');
        name = type === 'file' && isFlat.test(clean) && clean !== 'rootfs.tar.xz' ? clean : undefined;
        pieces = [];
      },
      data: (chunk, start, end) => void pieces.push(Buffer.from(chunk.subarray(start, end))),
      memberEnd() {
        if (name !== undefined) files.set(name, Buffer.concat(pieces));
      },
    },
    { source, limits },
  );
  for await (const chunk of decompress(bench.object(digest), { source, signal: bench.signal }))
    parser.push(chunk);
  parser.finish();
  if (metadataFile(files, 'config') === undefined)
    throw new CellarError('E_ARCHIVE_FORMAT', { details: { source, problem: 'it has no config' } });
  return files;
}

/** The file that counts for a system container. */
export function metadataFile(files: LxcMetadata, name: string): string | undefined {
  const base = files.has(`${name}-system`) ? `${name}-system` : name;
  const level = compatLevels.find((number) => files.has(`${base}.${number}`));
  return files.get(level === undefined ? base : `${base}.${level}`)?.toString('utf8');
}

/** Lines of a list, such as `templates` or `excludes`. */
export function metadataLines(files: LxcMetadata, name: string): string[] {
  return (metadataFile(files, name) ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}
