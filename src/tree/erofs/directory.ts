/**
 * Directory content: names packed into blocks, each a row of dirents followed by the names. `.` and `..` are
 * entries like any other and sort among them.
 */
import type { ByteString } from '../../core/bytes.ts';
import { blockSize, direntSize } from './format.ts';
import { nameOf, type Nodes } from './nodes.ts';

export interface Listing {
  readonly names: ByteString[];
  /** Node whose inode the name leads to. */
  readonly targets: number[];
}

export function listDirectory(
  { entries, parent, firstChild, nextSibling, inode }: Nodes,
  directory: number,
): Listing {
  const names: ByteString[] = [];
  const targets: number[] = [];
  const dots = [
    ['.', directory],
    ['..', parent[directory]!],
  ] as const;
  let dot = 0;
  for (let child = firstChild[directory]!; child >= 0; child = nextSibling[child]!) {
    const name = nameOf(entries[child]!.path);
    for (; dot < 2 && name > dots[dot]![0]; dot++) {
      names.push(dots[dot]![0]);
      targets.push(dots[dot]![1]);
    }
    names.push(name);
    targets.push(inode[child]!);
  }
  for (; dot < 2; dot++) {
    names.push(dots[dot]![0]);
    targets.push(dots[dot]![1]);
  }
  return { names, targets };
}

/** Full blocks, and bytes in the last partial one. */
export function directorySize({ names }: Listing): { blocks: number; rest: number } {
  let blocks = 0;
  let rest = 0;
  for (const name of names) {
    const length = direntSize + name.length;
    if (rest + length > blockSize) {
      blocks++;
      rest = 0;
    }
    rest += length;
  }
  return { blocks, rest };
}

export interface DirectoryPlaces {
  readonly image: Buffer;
  /** Offset of the block `n`, or of the tail where there are no more blocks. */
  readonly blockAt: (n: number) => number;
  readonly nid: Uint32Array;
  readonly fileType: Uint8Array;
}

export function writeDirectory(listing: Listing, places: DirectoryPlaces): void {
  const { names } = listing;
  let first = 0;
  let size = 0;
  let block = 0;
  for (let at = 0; at < names.length; at++) {
    const length = direntSize + names[at]!.length;
    if (size + length > blockSize) {
      writeBlock(listing, { first, end: at, offset: places.blockAt(block++) }, places);
      first = at;
      size = 0;
    }
    size += length;
  }
  writeBlock(listing, { first, end: names.length, offset: places.blockAt(block) }, places);
}

interface Block {
  readonly first: number;
  readonly end: number;
  readonly offset: number;
}

/** A dirent: nid (8 bytes), offset of the name in the block (2), type (1), 0. */
function writeBlock(
  { names, targets }: Listing,
  { first, end, offset }: Block,
  places: DirectoryPlaces,
): void {
  const { image, nid, fileType } = places;
  let nameAt = (end - first) * direntSize;
  let at = offset;
  let text = '';
  for (let entry = first; entry < end; entry++) {
    const target = targets[entry]!;
    image.writeUInt32LE(nid[target]!, at);
    image.writeUInt16LE(nameAt, at + 8);
    image[at + 10] = fileType[target]!;
    nameAt += names[entry]!.length;
    text += names[entry]!;
    at += direntSize;
  }
  image.write(text, at, 'latin1');
}
