/** What `--set` says about a version of a system. */
import { CellarError } from '../../core/errors.ts';

export interface SystemParameters {
  readonly label?: string;
  /** Top-level directories that all versions share. */
  readonly state: readonly string[];
  /** Paths in the tree; `none` for no such file, absent for the usual places. */
  readonly kernel?: string;
  readonly initramfs?: string;
  readonly dtb?: string;
  /** Take over what was changed under /etc of the version in service. */
  readonly configSync: boolean;
  /** Make the version the default subvolume of the file system, too. */
  readonly setDefault: boolean;
  /** Never remove the version `factory` for its age. */
  readonly keepFactory: boolean;
}

export const factory = 'factory';

/** As Baserock has them. */
const usualState = 'home,root,opt,srv,var';

/** Names of files for a boot loader, and the parameters that name them in the tree. */
export const bootFiles = ['kernel', 'initramfs', 'dtb'] as const;

/** @throws E_USAGE */
export function systemParameters(given: Readonly<Record<string, string>>): SystemParameters {
  const { label, state = usualState } = given;
  if (label !== undefined) checkLabel(label);
  const names = state === 'none' ? [] : state.split(',').map((name) => name.trim());
  for (const name of names) checkState(name);
  return {
    ...(label === undefined ? {} : { label }),
    state: [...new Set(names)],
    ...Object.fromEntries(
      bootFiles.flatMap((name) => {
        const path = given[name];
        return path === undefined ? [] : [[name, path]];
      }),
    ),
    configSync: isOn(given, 'config-sync', true),
    setDefault: isOn(given, 'set-default', false),
    keepFactory: isOn(given, 'keep-factory', true),
  };
}

/** A directory's name that a boot loader and a mount option can hold, too. */
function checkLabel(label: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(label) && label !== 'default') return;
  throw wrong(
    `label '${label}': labels are at most 64 letters, digits, dots, - and _, the first a letter or a digit, and not 'default'`,
  );
}

/** What a version is made of, or what the kernel fills, cannot be shared with another version. */
const ownToVersions = new Set(['bin', 'boot', 'dev', 'etc', 'lib', 'proc', 'run', 'sbin', 'sys', 'usr']);

function checkState(name: string): void {
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(name) && !ownToVersions.has(name)) return;
  throw wrong(`state '${name}': versions share top-level directories such as ${usualState}, or none`);
}

function isOn(given: Readonly<Record<string, string>>, name: string, usual: boolean): boolean {
  const value = given[name];
  if (value === undefined) return usual;
  if (value === 'yes' || value === 'no') return value === 'yes';
  throw wrong(`${name} is yes or no, not '${value}'`);
}

function wrong(problem: string): CellarError {
  return new CellarError('E_USAGE', { details: { problem }, hint: "'--set label=2026-11'" });
}
