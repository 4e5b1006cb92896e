/** Subvolumes, by btrfs-progs: its own words say best what is wrong with a file system. */
import { runProgram } from '../program.ts';
import type { Workbench } from '../port.ts';

/** @returns what it printed @throws E_MISSING_TOOL, E_IO, E_CANCELLED */
export async function btrfs(args: readonly string[], signal: Workbench['signal']): Promise<string> {
  return await runProgram(args, {
    ...{ program: 'btrfs', package: 'btrfs-progs', why: 'versions of a system are subvolumes' },
    ...{ subject: args.at(-1) ?? '', signal },
  });
}

export async function subvolumeId(path: string, signal: AbortSignal): Promise<string> {
  return (await btrfs(['inspect-internal', 'rootid', path], signal)).trim();
}

/** Of the file system on which `path` lies: what a mount without `subvol` shows. 5 is the top level. */
export async function defaultSubvolume(path: string, signal: AbortSignal): Promise<string> {
  return /^ID (\d+)/.exec(await btrfs(['subvolume', 'get-default', path], signal))?.[1] ?? '5';
}

export async function setDefaultSubvolume(id: string, path: string, signal: AbortSignal): Promise<void> {
  await btrfs(['subvolume', 'set-default', id, path], signal);
}

/** As `UUID=` in fstab(5) has it. */
export async function filesystemUuid(mountPoint: string, signal: AbortSignal): Promise<string> {
  const uuid = /uuid: ([0-9a-f-]{36})/.exec(await btrfs(['filesystem', 'show', mountPoint], signal))?.[1];
  if (uuid === undefined) throw new Error(`btrfs names no UUID of ${mountPoint}`);
  return uuid;
}
