import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCellarError } from '../../core/errors.ts';
import { impliedDirectory } from '../../tree/entry.ts';
import type { Artifact } from './artifact.ts';
import { makeExt4 } from './make-ext4.ts';
import type { Workbench } from '../port.ts';

test('a size that is none, or more than a partition can have, is refused before anything is made', async () => {
  const bench = { entries: () => [impliedDirectory('/')] } as Partial<Workbench> as Workbench;
  for (const [size, problem] of [
    ['lots', /size=lots is no size/],
    ['3T', /of 3\.0 TiB does not fit: it may have 2\.0 TiB/],
  ] as const) {
    const version = { parameters: { size } } as Partial<Artifact['version']> as Artifact['version'];
    const artifact = { tree: 'a'.repeat(64), file: '/nowhere', path: '/nowhere', version };
    await assert.rejects(
      makeExt4(artifact, bench, { features: 'boot', offset: 0, most: 2 ** 41 }),
      (error) => isCellarError(error, 'E_USAGE') && problem.test(error.message),
    );
  }
});
