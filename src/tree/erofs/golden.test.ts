/**
 * Images must be those of the reference implementation, byte for byte, for the dumps that it publishes (those below a
 * megabyte are in test/data/composefs). CELLAR_COMPOSEFS_ASSETS names another directory of the kind.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { sha256 } from '../../core/digest.ts';
import { isCellarError } from '../../core/errors.ts';
import { readDump } from '../../../test/support/composefs-dump.ts';
import { writeErofs, type ErofsOptions } from './write.ts';

const assets =
  process.env['CELLAR_COMPOSEFS_ASSETS'] ??
  fileURLToPath(new URL('../../../test/data/composefs', import.meta.url));
const dumps = readdirSync(assets).filter((file) => /\.dump(?:\.gz)?$/.test(file));

test('published dumps become the published images', async (t) => {
  assert.ok(dumps.length > 0, `no dumps in ${assets}`);
  for (const name of dumps) {
    await t.test(name, () => {
      const file = join(assets, name);
      if (name.startsWith('should-fail-')) {
        assert.throws(
          () => image(file),
          (error) => isCellarError(error),
        );
      } else {
        assert.equal(sha256(image(file)), readFileSync(`${file}.sha256`, 'latin1').trim());
      }
    });
  }
});

function image(file: string): Buffer {
  const packed = readFileSync(file);
  return writeErofs(readDump(file.endsWith('.gz') ? gunzipSync(packed) : packed), versions(file));
}

function versions(file: string): ErofsOptions {
  if (!existsSync(`${file}.version`)) return {};
  const version = readFileSync(`${file}.version`, 'latin1').trim() === '1' ? 1 : 0;
  return { minVersion: version, maxVersion: version };
}
