import assert from 'node:assert/strict';
import { linkSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromText } from '../core/bytes.ts';
import { sh } from '../../test/support/run.ts';
import { makeScratch } from '../../test/support/scratch.ts';
import { allocatedBelow } from './disk-usage.ts';

test('it counts what du counts: inodes once, holes not at all', async () => {
  using scratch = makeScratch('usage');
  const root = join(scratch.path, 'root');
  mkdirSync(join(root, 'a/b'), { recursive: true });
  writeFileSync(join(root, 'a/b/file'), 'x'.repeat(10_000));
  linkSync(join(root, 'a/b/file'), join(root, 'a/link'));
  writeFileSync(join(root, 'sparse'), 'y');
  truncateSync(join(root, 'sparse'), 1 << 24);
  const du = await sh(`du -xs -B1 ${root} | cut -f1; stat -c '%b' ${root}`);
  const [all, top] = du.split('\n').map(Number);
  assert.equal(allocatedBelow(fromText(root)), all! - top! * 512);
  assert.equal(allocatedBelow(fromText(join(root, 'absent'))), 0);
});
