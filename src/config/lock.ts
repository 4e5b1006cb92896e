/**
 * `cellar.lock`: what exactly each image of a configuration is, for each platform, so that another machine gets the
 * same. JSON, always written in one way, so that it changes only where an image did.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { fromText } from '../core/bytes.ts';
import { isDigest, type Digest } from '../core/digest.ts';
import { CellarError, isCellarError } from '../core/errors.ts';
import { isPlatform, type Platform } from '../core/platform.ts';
import type { ImageKind, Provenance } from '../core/record.ts';
import { redact } from '../core/redact.ts';
import { parseReference, type Reference } from '../core/reference.ts';
import { writeFileAtomic } from '../sys/atomic.ts';
import { isErrno, reasonOf } from '../sys/errno.ts';

export interface LockEntry {
  readonly reference: Reference;
  readonly platform: Platform;
  /** Without secrets. */
  readonly source: string;
  readonly kind: ImageKind;
  /** Of the tree, of the OCI manifest, or of the file. */
  readonly content: Digest;
  /** Of what was transferred, where that was one file. */
  readonly sha256?: Digest;
  /** What upstream called this version. */
  readonly revision?: string;
  readonly verified: Provenance['verified'];
}

/** Beside the main file of the configuration. */
export function lockPathOf(configPath: string): string {
  return join(dirname(configPath), 'cellar.lock');
}

/** @throws E_LOCK_FILE when it is missing or is none */
export function readLock(path: string): LockEntry[] {
  const parsed = lockFile.safeParse(parseJson(read(path), path));
  if (parsed.success)
    return Object.entries(parsed.data.images).flatMap(([reference, platforms]) =>
      Object.entries(platforms).map(([platform, { sha256, revision, ...image }]) => ({
        ...{ reference, platform, ...image },
        ...(sha256 === undefined ? {} : { sha256 }),
        ...(revision === undefined ? {} : { revision }),
      })),
    );
  const [{ path: where, message }] = parsed.error.issues as [z.core.$ZodIssue];
  const at = where.length === 0 ? '' : `${where.map(String).join(' → ')}: `;
  throw refused(path, `${at}${message}`);
}

/** Whole or not at all, and only where it says something new. @returns whether it was written */
export function writeLock(path: string, entries: readonly LockEntry[]): boolean {
  const text = lockText(entries);
  if (text === readIfThere(path)) return false;
  writeFileAtomic(fromText(path), text);
  return true;
}

/** The one way to write these entries. */
export function lockText(entries: readonly LockEntry[]): string {
  const images: Record<Reference, Record<Platform, Omit<LockEntry, 'reference' | 'platform'>>> = {};
  for (const entry of entries.toSorted(byName)) {
    const { reference, platform, source, kind, content, sha256, revision, verified } = entry;
    // In this order, whatever the order of the members that came.
    (images[reference] ??= {})[platform] = {
      ...{ source: redact(source), kind, content },
      ...(sha256 === undefined ? {} : { sha256 }),
      ...(revision === undefined ? {} : { revision }),
      verified,
    };
  }
  return `${JSON.stringify({ version: 1, images }, undefined, 2)}\n`;
}

const digest = z.string().refine(isDigest, 'no SHA-256 of 64 hex digits');
const isReference = (text: string): boolean => {
  try {
    return parseReference(text) === text;
  } catch (error) {
    if (isCellarError(error)) return false;
    throw error;
  }
};

const lockFile = z.strictObject({
  version: z.literal(1, 'it is of a version that this cellar does not know'),
  images: z.record(
    z.string().refine(isReference, 'no reference with its tag'),
    z.record(
      z.string().refine(isPlatform, 'no platform'),
      z.strictObject({
        source: z.string(),
        kind: z.enum(['tree', 'oci', 'file']),
        content: digest,
        sha256: digest.optional(),
        revision: z.string().optional(),
        verified: z.enum(['signature', 'checksum', 'no']),
      }),
    ),
  ),
});

function byName(a: LockEntry, b: LockEntry): number {
  const [left, right] = [`${a.reference}\0${a.platform}`, `${b.reference}\0${b.platform}`];
  return left < right ? -1 : left > right ? 1 : 0;
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw refused(path, `it is no JSON (${(error as Error).message})`, error);
  }
}

function read(path: string): string {
  const text = readIfThere(path);
  if (text === undefined) throw refused(path, 'it is not there');
  return text;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw refused(path, `it cannot be read: ${reasonOf(error)}`, error);
  }
}

function refused(place: string, problem: string, cause?: unknown): CellarError {
  return new CellarError('E_LOCK_FILE', { details: { place, problem }, cause });
}
