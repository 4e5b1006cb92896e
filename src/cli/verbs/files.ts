/** `cellar files` on the command line. */
import type { ListedFile } from '../../ops/files.ts';
import { formatTime } from '../render/units.ts';
import { defineVerb, optional, toggle } from '../spec.ts';
import { platform, reference } from './common.ts';

export const verb = defineVerb({
  description: [
    'One path a line. Bytes that are no UTF-8 and control characters are shown as \\xNN, and may be written so; the JSON output has the very bytes besides.',
  ],
  args: [reference(), optional('PATH', 'Only this path and what lies below it')],
  options: { long: toggle('Type, mode, owner, size and time as well', 'l'), platform },
  examples: [
    { command: 'cellar files debian:12 /etc', does: 'the paths below /etc' },
    { command: 'cellar files debian:12 /usr/bin --long', does: 'with their metadata' },
  ],
  async run({ args: [name, path], options: { long, ...options }, context }) {
    const { files } = await import('../../ops/files.ts');
    const found = await files(context, { reference: name, path, ...options });
    const lines = (): Iterable<string> =>
      Iterator.from(found.entries[Symbol.iterator]()).map(long ? longLine : (file) => file.path);
    return { result: { ...found }, lines };
  },
});

const typeLetters: Readonly<Record<ListedFile['type'], string>> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  char: 'c',
  block: 'b',
  fifo: 'p',
  socket: 's',
};

/** As `ls -ln` would, but of one width for each file, since not all are known. */
function longLine(file: ListedFile): string {
  const { type, mode, uid, gid, size, mtime, path, target, hardlink } = file;
  const owner = `${uid}:${gid}`.padEnd(9);
  const extent = (file.major === undefined ? String(size) : `${file.major},${file.minor}`).padStart(11);
  const attributes = file.xattrs === undefined ? ' ' : '@';
  const link = target === undefined ? '' : ` -> ${target}`;
  const same = hardlink === undefined ? '' : ` = ${hardlink}`;
  return `${typeLetters[type]}${modeLetters(parseInt(mode, 8))}${attributes} ${owner} ${extent} ${time(mtime)} ${path}${link}${same}`;
}

/** Times beyond what a calendar date holds are shown in seconds. */
function time(seconds: number): string {
  return Math.abs(seconds) < 8.64e12 ? formatTime(seconds * 1000) : `@${seconds}`;
}

/** `rwsr-xr-t`, as ls(1) shows modes. */
function modeLetters(mode: number): string {
  const triple = (bits: number, special: boolean, letter: string): string => {
    const execute = (bits & 1) !== 0;
    const last = special ? (execute ? letter : letter.toUpperCase()) : execute ? 'x' : '-';
    return `${(bits & 4) !== 0 ? 'r' : '-'}${(bits & 2) !== 0 ? 'w' : '-'}${last}`;
  };
  return (
    triple(mode >> 6, (mode & 0o4000) !== 0, 's') +
    triple(mode >> 3, (mode & 0o2000) !== 0, 's') +
    triple(mode, (mode & 0o1000) !== 0, 't')
  );
}
