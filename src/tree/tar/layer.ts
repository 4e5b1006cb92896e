/**
 * A layer of an image from the members of its archive. Whiteouts are set aside before they become part of a tree: a
 * layer may hold some below a name that it has made a file or a symlink, and they say nothing of its own entries.
 */
import type { ByteString } from '../../core/bytes.ts';
import type { Entry } from '../entry.ts';
import type { LayerTree } from '../merge.ts';
import { whiteoutOf } from '../whiteouts.ts';
import type { Accounts } from './acl.ts';
import { createTreeAssembler, type MetadataCount, type TreeAssembler } from './assemble.ts';
import { cleanName, nameProblem } from './member-name.ts';
import { tarProblems } from './problems.ts';

export interface LayerAssembler {
  /** `ignored` for whiteouts. @throws E_ARCHIVE_UNSAFE, E_ARCHIVE_LIMIT, E_TREE_INVALID for a whiteout of no name */
  readonly add: TreeAssembler['add'];
  /** What it says, once every content has its digest. @throws E_TREE_INVALID */
  finish(accounts: Accounts): LayerTree;
}

export interface LayerOptions {
  /** Of the archive, for messages. */
  readonly source: string;
  readonly maxFiles?: number;
  /** What the layers below come to at a path. Hard links may point there. */
  readonly below: (path: ByteString) => Entry | undefined;
  readonly metadata?: MetadataCount;
}

export function createLayerAssembler(options: LayerOptions): LayerAssembler {
  const assembler = createTreeAssembler(options);
  const removed = new Set<ByteString>();
  const opaque = new Set<ByteString>();
  return {
    add(member, content) {
      const path = member.path.includes('.wh.') ? cleanName(member.path) : '';
      const whiteout = whiteoutOf(path);
      if (whiteout === undefined) return assembler.add(member, content);
      const problem = nameProblem(path);
      if (problem !== undefined) throw tarProblems(options.source).unsafe(member.path, problem);
      (whiteout.kind === 'opaque' ? opaque : removed).add(whiteout.path);
      return 'ignored';
    },
    finish: (accounts) => ({ ...assembler.finishLayer(accounts), removed, opaque }),
  };
}
