/**
 * What lies on this machine: a tar, any other file, or a directory. `file:///a%20b` is a URL, `file:a b` and a plain
 * path are taken as they are.
 *
 * Revision: device, inode, size and time of change of a file. A directory is always new: nothing about it tells
 * whether something below it changed.
 */
import { statSync, type BigIntStats } from 'node:fs';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isErrno, toCellarError } from '../sys/errno.ts';
import { knownOf, offered, onlyPlatform, unknowableRevision } from './ask.ts';
import { gone, invalid, shapeOfName, splitShape, type Shape } from './location.ts';
import type { Driver, Offer, Query, Source } from './port.ts';

export const localDriver: Driver = {
  name: 'file',
  open: openLocal,
};

function openLocal(location: string): Source {
  const { shape, rest } = splitShape(location);
  const path = resolve(pathOf(rest, location));
  return {
    look: async (query) => [lookAt(path, { location, shape }, query)],
    async [Symbol.asyncDispose]() {},
  };
}

function lookAt(
  path: string,
  { location, shape }: { location: string; shape: Shape | undefined },
  query: Query,
): Offer {
  const stat = statOf(path, location);
  if (!stat.isFile() && !stat.isDirectory()) throw invalid(location, 'it is neither a file nor a directory');
  const { kind, format } = stat.isDirectory()
    ? ({ kind: 'tree', format: 'directory' } as const)
    : (shape ?? shapeOfName(path));
  const platform = onlyPlatform(query);
  const offer: Offer = {
    platform,
    kind,
    labels: {},
    revision: stat.isDirectory()
      ? unknowableRevision()
      : `${stat.dev}-${stat.ino}-${stat.size}-${stat.mtimeNs}-${stat.ctimeNs}`,
    parts: [
      {
        role: 'content',
        name: basename(path),
        ...(stat.isFile() ? { size: Number(stat.size) } : {}),
        ...(format === undefined ? {} : { format }),
        from: { type: 'file', path },
      },
    ],
  };
  return offered(offer, knownOf(query, platform));
}

function statOf(path: string, location: string): BigIntStats {
  try {
    return statSync(path, { bigint: true });
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR'))
      throw gone(
        location,
        'there is no such file',
        looksLikeServer.test(location) ? serverHint(location) : undefined,
      );
    throw toCellarError(error, { doing: 'looking for a source', path });
  }
}

/** `ghcr.io/org/name:1`, `127.0.0.1:8000/x`: a host, and what lies there. */
const looksLikeServer = /^[\w-]+(?:\.[\w-]+)*(?:\.[\w-]+|:\d+)\/./;

function serverHint(location: string): string {
  return `this is a path; on a server it is https://${location}, and in a registry docker://${location}`;
}

function pathOf(text: string, location: string): string {
  if (/^file:\/\//i.test(text)) return pathOfUrl(text, location);
  const path = text.replace(/^file:/i, '');
  if (path === '' || path.includes('\0')) throw invalid(location, 'it has no path');
  return path;
}

function pathOfUrl(text: string, location: string): string {
  try {
    return fileURLToPath(text);
  } catch (error) {
    throw invalid(location, (error as Error).message);
  }
}
