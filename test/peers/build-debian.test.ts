/** A real Debian prepared with apt, in the soak run: packages are fetched, and the same tree comes of it twice. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cellar, cellarOk } from '../support/cellar.ts';
import { debianRoot } from '../support/debian-root.ts';
import { scratchDirectory } from '../support/filesystem.ts';
import { needs, soak } from '../support/run.ts';

const skip =
  needs({ root: true, programs: ['mmdebstrap', 'unshare', 'setpriv'] }) || (!soak && 'only in the soak');

test('a Debian with another package, the same twice', { skip }, async (context) => {
  const { path, origin } = await debianRoot();
  if (origin === 'machine') return context.skip('no Debian could be made');
  using scratch = scratchDirectory();
  const store = join(scratch.path, 'store');
  const recipe = join(scratch.path, 'recipe.yaml');
  await cellarOk(['import', path, 'debian'], { store });
  writeFileSync(recipe, 'base: debian\npackages: [tree]\nrun: tree --version\nscrub: true\n');
  const built = await cellarOk(['build', '-f', recipe, 'tree', '--clock', '1700000000', '--reproduce'], {
    store,
  });
  assert.deepEqual(built['differences'], []);
  const files = await cellar(['files', 'tree', '/usr/bin/tree'], { store });
  assert.match(files.stdout, /^\/usr\/bin\/tree$/m);
  const left = await cellar(['files', 'tree', '/etc/resolv.conf'], { store });
  const before = await cellar(['files', 'debian', '/etc/resolv.conf'], { store });
  assert.equal(left.code, before.code);
});
