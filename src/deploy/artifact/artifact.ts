/** What targets that write one file made of a tree have in common. */
import type { Digest } from '../../core/digest.ts';
import { sha256 } from '../../core/digest.ts';
import type { Entry } from '../../tree/entry.ts';
import { fileAt } from '../path/file.ts';
import type { TargetDriver, Version, Workbench } from '../port.ts';
import { requireTree } from '../version-kind.ts';

export interface Artifact {
  readonly tree: Digest;
  /** To write; it is absent. */
  readonly file: string;
  /** The name it will have, whose suffix may say how it is packed. */
  readonly path: string;
  readonly version: Version;
}

export interface ArtifactSpec {
  readonly kind: string;
  readonly write: (artifact: Artifact, bench: Workbench) => Promise<void>;
}

/** A target that is one file, read by others than us, made of a tree. */
export function artifactTarget({ kind, write }: ArtifactSpec): TargetDriver {
  return {
    open: (rest, options) =>
      fileAt(
        {
          ...{ kind, rest, defaultMode: 0o644 },
          write: async (version, file, bench) =>
            await write({ tree: requireTree(version, `${kind}:${rest}`), file, path: rest, version }, bench),
        },
        options,
      ),
  };
}

/** Newest time in a tree, in seconds, 0 at least: what stands for "now" where a format wants to know. */
export function newestTime(entries: readonly Entry[]): number {
  return entries.reduce((newest, { mtime }) => Math.max(newest, mtime), 0);
}

/** A UUID that follows from the tree: the same tree gives the same file system. RFC 9562, version 8. */
export function treeUuid(tree: Digest, purpose: string): string {
  const hex = sha256(Buffer.from(`${purpose}:${tree}`));
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}

/** Tell that a format has no place for something in the tree. */
export function warnOfLoss(bench: Workbench, kind: string, what: Readonly<Record<string, number>>): void {
  const lost = Object.entries(what).filter(([, count]) => count > 0);
  if (lost.length === 0) return;
  const text = `${kind} cannot hold ${lost.map(([name, count]) => `${name} (${count})`).join(', ')}`;
  bench.events({ type: 'warning', code: 'W_FORMAT_LOSS', text });
}
