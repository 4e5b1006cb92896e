/**
 * Writes a tar of COUNT small files to standard output, in directories of 1,000: a tree whose size is in its number
 * of entries. One in four files repeats the content of another.  usage: many-files.ts COUNT
 */
import { once } from 'node:events';

const count = Number(process.argv[2]);
const block = 512;

function header(name: string, size: number, type: '0' | '5'): Buffer {
  const bytes = Buffer.alloc(block);
  const octal = (value: number, at: number, width: number): number =>
    bytes.write(`${value.toString(8).padStart(width - 1, '0')}\0`, at, 'latin1');
  bytes.write(name, 0, 100, 'latin1');
  octal(type === '5' ? 0o755 : 0o644, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(1_700_000_000, 136, 12);
  bytes.write('        ', 148, 'latin1');
  bytes.write(type, 156, 'latin1');
  bytes.write('ustar\x0000', 257, 'latin1');
  let sum = 0;
  for (const byte of bytes) sum += byte;
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return bytes;
}

function content(index: number): Buffer {
  const distinct = index % 4 === 3 ? index - 3 : index;
  return Buffer.from(`content number ${distinct}\n`.repeat(1 + (distinct % 20)));
}

for (let first = 0; first < count; first += 1000) {
  const directory = `./d${Math.floor(first / 1000)}`;
  const parts = [header(`${directory}/`, 0, '5')];
  for (let index = first; index < Math.min(count, first + 1000); index++) {
    const bytes = content(index);
    parts.push(header(`${directory}/f${index}`, bytes.length, '0'), bytes);
    parts.push(Buffer.alloc((block - (bytes.length % block)) % block));
  }
  if (!process.stdout.write(Buffer.concat(parts))) await once(process.stdout, 'drain');
}
process.stdout.write(Buffer.alloc(2 * block));
