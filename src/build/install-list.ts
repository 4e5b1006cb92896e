/** Lists of files to install, as morph's install-files extension reads them: `[overwrite] MODE UID GID PATH` a line. */
import { readFileSync } from 'node:fs';
import type { ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { pathInTree } from '../tree/lookup.ts';
import { isErrno } from '../sys/errno.ts';

export interface InstallLine {
  readonly path: ByteString;
  /** May have the bits of the file's type above its permissions. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Replace what is there. */
  readonly overwrite: boolean;
}

/** Blank lines and lines that begin with # are passed over. @throws E_CONFIG, E_SOURCE_NOT_FOUND */
export function readInstallList(file: string): InstallLine[] {
  return read(file)
    .split('\n')
    .flatMap((line, at) => parseLine(line, `${file}:${at + 1}:1`) ?? []);
}

function parseLine(line: string, place: string): InstallLine | undefined {
  if (line.trim() === '' || line.startsWith('#')) return undefined;
  const match = /^(overwrite\s+)?([0-7]{3,7})\s+(\d{1,10})\s+(\d{1,10})\s+(\S.*?)\s*$/.exec(line);
  const path = match === null ? undefined : pathInTree(match[5]!);
  if (match === null || path === undefined)
    throw new CellarError('E_CONFIG', {
      details: { place, problem: `'${line}' is not [overwrite] MODE UID GID PATH` },
    });
  const [, overwrite, mode, uid, gid] = match;
  return {
    path,
    mode: Number.parseInt(mode!, 8),
    uid: Number(uid),
    gid: Number(gid),
    overwrite: overwrite !== undefined,
  };
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    throw new CellarError('E_SOURCE_NOT_FOUND', { details: { source: file }, cause: error });
  }
}
