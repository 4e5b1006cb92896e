/**
 * The sums beside an export: a line in SHA256SUMS as sha256sum(1) and systemd-pull read it, and `<base>.checksum`
 * with the bare SHA-1 that older deployment tools compare. Each is replaced atomically, after the archive.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromText } from '../core/bytes.ts';
import { writeFileAtomic } from '../sys/atomic.ts';

/** Lines for other files in SHA256SUMS stay. */
export function writeSums(directory: string, name: string, sums: { sha256: string; sha1: string }): void {
  const file = join(directory, 'SHA256SUMS');
  const present = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
  const others = present.filter((line) => line !== '' && line.slice(66) !== name);
  const lines = [...others, `${sums.sha256}  ${name}`].sort((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1));
  writeFileAtomic(fromText(file), `${lines.join('\n')}\n`, { mode: 0o644 });
  writeFileAtomic(fromText(join(directory, checksumName(name))), `${sums.sha1}\n`, { mode: 0o644 });
}

/** `app.tgz` → `app.checksum`, as the consumers of such archives derive it. */
export function checksumName(name: string): string {
  return `${name.replace(/\.(?:tar(?:\.[a-z0-9]+)?|tgz|txz|tzst)$/, '')}.checksum`;
}
