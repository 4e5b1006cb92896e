/** Random changes through an overlay, against the kernel: as overlay-upper.test.ts, with what nobody thought of. */
import {
  appendFileSync,
  chmodSync,
  closeSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  comparedReads,
  makeLower,
  makeOverlay,
  skipOverlays as skip,
  type Overlay,
} from '../../test/support/overlay.ts';
import { mknod } from '../sys/metadata.ts';
import { removeXattr, setXattr } from '../sys/xattr.ts';
import { formatBits } from './entry.ts';

for (const samefs of [true, false]) {
  const where = samefs ? 'one file system' : 'lower elsewhere';
  test(`random changes through an overlay, ${where}`, { skip }, async () => {
    using lower = makeLower(samefs);
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 14 }), async (operations) => {
        using overlay = makeOverlay(lower);
        for (const run of operations) attempt(() => run.apply(overlay));
        await comparedReads(overlay);
      }),
      { numRuns: Number(process.env['CELLAR_RUNS'] ?? 60) },
    );
  });
}

interface Operation {
  readonly text: string;
  apply(overlay: Overlay): void;
  toString(): string;
}

const names = ['', '/d1', '/d2', '/d1/s', '/d1/s/deep', '/new'];
const leaves = ['a', 'x', 'hard1', 'hard2', 'hard3', 'pair1', 'pair2', 's', 'd2', 'f', 'new', 'link'];
const somePath = fc
  .tuple(fc.constantFrom(...names), fc.constantFrom(...leaves))
  .map(([directory, leaf]) => `${directory}/${leaf}`);

function on(name: string, apply: (path: string) => void): fc.Arbitrary<Operation> {
  return somePath.map((path) => describeOperation(`${name} ${path}`, ({ view }) => apply(view + path)));
}

function between(name: string, apply: (from: string, to: string) => void): fc.Arbitrary<Operation> {
  return fc
    .tuple(somePath, somePath)
    .map(([from, to]) =>
      describeOperation(`${name} ${from} ${to}`, ({ view }) => apply(view + from, view + to)),
    );
}

function describeOperation(text: string, apply: (overlay: Overlay) => void): Operation {
  return { text, apply, toString: () => text };
}

let counter = 0;

const operation: fc.Arbitrary<Operation> = fc.oneof(
  on('write', (path) => writeFileSync(path, `content ${++counter}`)),
  on('append', (path) => appendFileSync(path, '+')),
  on('open for writing', (path) => closeSync(openSync(path, 'r+'))),
  on('truncate', (path) => truncateSync(path, 3)),
  on('chmod', (path) => chmodSync(path, 0o640)),
  on('chown', (path) => lchownSync(path, 5, 6)),
  on('set xattr', (path) => setXattr(path, 'user.n', String(++counter))),
  on('remove xattr', (path) => removeXattr(path, 'user.n')),
  on('set overlay xattr', (path) => setXattr(path, 'trusted.overlay.redirect', '/d1')),
  on('unlink', (path) => unlinkSync(path)),
  on('rmdir', (path) => rmdirSync(path)),
  on('rm -r', (path) => rmSync(path, { recursive: true })),
  on('mkdir', (path) => mkdirSync(path)),
  on('symlink', (path) => symlinkSync('target', path)),
  // Not a FIFO: writing to one would wait for a reader.
  on('make a socket', (path) => mknod(path, formatBits.socket | 0o600, 0)),
  on('copy out and in', (path) =>
    readdirSync(path).forEach((name) => writeFileSync(`${path}/${name}.copy`, 'c')),
  ),
  between('rename', renameSync),
  between('rename', renameSync),
  between('link', linkSync),
  fc.constant(describeOperation('remount', (overlay) => overlay.remount())),
);

/** Many random operations cannot succeed; that they fail is part of the game. */
function attempt(work: () => void): void {
  try {
    work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).errno === undefined) throw error;
  }
}
