/** The findings of `doctor` that have nothing to do with a store: runtime, rights, clock. */
import { readFileSync } from 'node:fs';
import { mayGiveFilesAway, mayMount } from '../sys/privilege.ts';
import type { Finding } from './doctor.ts';

const oldestNode = 26;

export function runtimeFinding(): Finding {
  const major = Number(process.versions.node.split('.')[0]);
  const detail = `Node ${process.versions.node} on ${process.arch}`;
  if (major >= oldestNode) return { title: 'runtime', status: 'pass', detail };
  return {
    title: 'runtime',
    status: 'fail',
    detail: `${detail}; ${oldestNode} is the oldest that serves`,
    fix: "start it with bin/cellar, which brings its own runtime, after 'npm ci'",
  };
}

export function privilegeFindings(): Finding[] {
  return [rightsFinding(), namespaceFinding()];
}

function rightsFinding(): Finding {
  const title = 'rights';
  if (!mayGiveFilesAway())
    return {
      title,
      status: 'warn',
      detail: `${process.geteuid?.() === 0 ? 'root of a user namespace with few ids' : 'an ordinary user'}: owners, devices and trusted attributes are left out, nothing is mounted`,
      fix: 'run as root where that matters; the store keeps everything either way',
    };
  if (!mayMount())
    return {
      title,
      status: 'warn',
      detail: 'root that may not mount: checkouts are reflinks or copies',
      fix: 'in a container: give it the capability SYS_ADMIN where mounts are wanted',
    };
  return { title, status: 'pass', detail: 'root: owners, devices and mounts can be made' };
}

function namespaceFinding(): Finding {
  const title = 'user namespaces';
  const most = readNumber('/proc/sys/user/max_user_namespaces');
  const forbidden = readNumber('/proc/sys/kernel/unprivileged_userns_clone') === 0;
  if (most === undefined || most === 0)
    return {
      title,
      status: 'warn',
      detail: 'the kernel allows none',
      fix: '--idmap needs them: sysctl user.max_user_namespaces',
    };
  return { title, status: 'pass', detail: forbidden ? 'for root only' : 'allowed' };
}

/** 2026-01-01: the software is no older, so an earlier clock is wrong; certificates and grace periods depend on it. */
const earliest = Date.UTC(2026, 0, 1);

export function clockFinding(): Finding {
  const now = new Date();
  const detail = now
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z');
  if (now.getTime() >= earliest) return { title: 'clock', status: 'pass', detail };
  return {
    title: 'clock',
    status: 'fail',
    detail: `${detail} lies in the past`,
    fix: 'set the clock (timedatectl, chrony)',
  };
}

function readNumber(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}
