/** The running kernel's version, for features that fail in ways which cannot be told apart. */
import { release } from 'node:os';

export type KernelVersion = readonly [major: number, minor: number];

export function kernelVersion(): KernelVersion {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release()) ?? [];
  return [Number(major ?? 0), Number(minor ?? 0)];
}

export function isAtLeast([major, minor]: KernelVersion, wantedMajor: number, wantedMinor: number): boolean {
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}
