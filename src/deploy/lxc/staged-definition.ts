/**
 * What a version brings to define its container: laid beside the version when it is staged, and used when it comes into
 * service where nobody has defined the container yet.
 */
import { existsSync, linkSync, lstatSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fromText } from '../../core/bytes.ts';
import { writeFileAtomic } from '../../sys/atomic.ts';
import type { Workbench } from '../port.ts';
import { includesOf, newDefinition, substitute, type LxcPlace } from './definition.ts';
import { lxcDefaults, readText } from './host.ts';
import { metadataFile, type LxcMetadata } from './metadata.ts';

/** LXC's own mode for what it makes. */
export const definitionMode = 0o640;

interface DefinitionPlace {
  /** Directory of the version. */
  readonly root: string;
  readonly place: LxcPlace;
  /** Nobody has defined the container yet. */
  readonly isNew: boolean;
}

/** Beside the version: the definition that is used if there is none when it comes into service. */
export function stageDefinition(
  metadata: LxcMetadata | undefined,
  { root, place, isNew }: DefinitionPlace,
  bench: Workbench,
): void {
  const fstab = metadata === undefined ? undefined : metadataFile(metadata, 'fstab');
  const text = newDefinition(place, {
    distribution: metadata === undefined ? undefined : metadataFile(metadata, 'config'),
    defaults: lxcDefaults(),
    hasFstab: fstab !== undefined,
  });
  writeFileAtomic(fromText(`${root}.config`), text, { mode: definitionMode });
  if (fstab !== undefined) writeFileAtomic(fromText(`${root}.fstab`), substitute(fstab, place));
  if (!isNew) return;
  const missing = includesOf(text).filter((file) => !existsSync(file));
  if (missing.length > 0)
    bench.events({
      type: 'warning',
      code: 'W_LXC_INCLUDE',
      text: `the definition includes what this machine lacks: ${missing.join(', ')}`,
      hint: 'install the package lxc-templates, or edit the definition',
    });
  const message = metadata === undefined ? undefined : metadataFile(metadata, 'create-message');
  if (message !== undefined) bench.events({ type: 'note', text: message.trim() });
}

/** As {@link stageDefinition} left it; empty where it left none. */
export function stagedDefinition(root: string): string {
  return readText(`${root}.config`) ?? '';
}

export function discardDefinition(root: string): void {
  for (const suffix of ['config', 'fstab']) rmSync(`${root}.${suffix}`, { force: true });
}

/** With the mode that the file has, if there is one. */
export function writeDefinition(config: string, text: string): void {
  writeFileAtomic(fromText(config), text, { mode: modeOf(config) });
}

/** The mounts that come with a definition, unless the container at `path` has its own. */
export function takeFstab(root: string, path: string): void {
  const fstab = join(path, 'fstab');
  if (existsSync(`${root}.fstab`) && !existsSync(fstab)) linkSync(`${root}.fstab`, fstab);
}

function modeOf(file: string): number {
  const stat = lstatSync(file, { throwIfNoEntry: false });
  return stat?.isFile() === true ? stat.mode & 0o777 : definitionMode;
}
