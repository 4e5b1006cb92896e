/** Machines that systemd-nspawn and machinectl know of, made by us or not. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { readableNames } from '../../sys/directory.ts';
import { machinesDirectory } from './machine.ts';

export interface MachineHere {
  readonly name: string;
  /** Absent for a machine that runs from elsewhere. */
  readonly path?: string;
  readonly type: 'directory' | 'raw' | 'elsewhere';
}

/** Where machinectl(1) looks besides `/var/lib/machines`. */
const otherDirectories = ['/usr/local/lib/machines', '/usr/lib/machines', '/var/lib/container'];

/** By name; the first directory that has a name counts, as it does for machinectl. */
export function machinesHere(): MachineHere[] {
  const directories =
    process.env['CELLAR_MACHINES'] === undefined
      ? [machinesDirectory(), ...otherDirectories]
      : [machinesDirectory()];
  const found = new Map<string, MachineHere>();
  for (const directory of directories)
    for (const machine of machinesIn(directory))
      if (!found.has(machine.name)) found.set(machine.name, machine);
  for (const name of registeredMachines()) if (!found.has(name)) found.set(name, { name, type: 'elsewhere' });
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Names of machines that run and are registered with systemd-machined. */
export function registeredMachines(): string[] {
  return readableNames('/run/systemd/machines').filter(
    (name) => !name.includes(':') && !name.startsWith('.'),
  );
}

function machinesIn(directory: string): MachineHere[] {
  return readableNames(directory).flatMap((file): MachineHere[] => {
    const path = join(directory, file);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (file.startsWith('.') || stat === undefined) return [];
    if (stat.isDirectory()) return [{ name: file, path, type: 'directory' }];
    return file.endsWith('.raw') && stat.isFile() ? [{ name: file.slice(0, -4), path, type: 'raw' }] : [];
  });
}
