/**
 * The sums beside an export: a line in SHA256SUMS as sha256sum(1) and systemd-pull read it, and `<base>.checksum`
 * with the bare SHA-1 that older deployment tools compare. Each is replaced atomically, after the archive; between the
 * sums and their signature there is a moment in which a reader finds them not to fit, refuses, and tries again.
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fromText } from '../../core/bytes.ts';
import type { EventSink } from '../../core/events.ts';
import type { SigningKey } from '../../source/verify/sign.ts';
import { writeFileAtomic } from '../../sys/atomic.ts';

export interface Sums {
  readonly sha256: string;
  readonly sha1: string;
  /** Signs SHA256SUMS, with all the lines it has. */
  readonly key?: Pick<SigningKey, 'sign'> | undefined;
}

/**
 * Lines for other files in SHA256SUMS stay. Signatures that do not fit any more stay, too, with a warning: readers
 * refuse them, and were they taken away the next pull would do without.
 */
export async function writeSums(
  destination: string,
  { sha256, sha1, key }: Sums,
  events: EventSink,
): Promise<void> {
  const [directory, name] = [dirname(resolve(destination)), basename(destination)];
  const file = join(directory, 'SHA256SUMS');
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const kept = before.split('\n').filter((line) => line !== '' && line.slice(66) !== name);
  const lines = [...kept, `${sha256}  ${name}`].sort((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1));
  const text = `${lines.join('\n')}\n`;
  const signature = await key?.sign(Buffer.from(text));
  const write = (path: string, content: string | Buffer): void =>
    writeFileAtomic(fromText(path), content, { mode: 0o644 });
  write(file, text);
  if (signature !== undefined) {
    write(`${file}.gpg`, signature.binary);
    write(`${file}.asc`, signature.armoured);
  }
  write(join(directory, checksumName(name)), `${sha1}\n`);
  const outdated = ['.gpg', '.asc', '.sign']
    .filter((suffix) => signature === undefined || suffix === '.sign')
    .filter((suffix) => text !== before && existsSync(`${file}${suffix}`));
  if (outdated.length > 0)
    events({
      type: 'warning',
      code: 'W_SIGNATURE_OUTDATED',
      text: `${outdated.map((suffix) => `SHA256SUMS${suffix}`).join(', ')} in ${directory} does not fit the sums any more`,
      hint:
        signature === undefined ? '--sign KEY renews it' : 'sign the sums again in that form, or remove it',
    });
}

/** `app.tgz` → `app.checksum`, as the consumers of such archives derive it. */
function checksumName(name: string): string {
  return `${name.replace(/\.(?:tar(?:\.[a-z0-9]+)?|tgz|txz|tzst)$/, '')}.checksum`;
}
