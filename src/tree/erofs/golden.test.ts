/**
 * Images must be those of the reference implementation. Its published dumps are not part of this repository:
 * CELLAR_COMPOSEFS_ASSETS names a directory with them (composefs, tests/assets).
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { sha256 } from '../../core/digest.ts';
import { isCellarError } from '../../core/errors.ts';
import { readDump } from '../manifest/dump.ts';
import { writeImage, type ErofsOptions } from './write.ts';

const assets = process.env['CELLAR_COMPOSEFS_ASSETS'];
const skip = assets === undefined && 'CELLAR_COMPOSEFS_ASSETS does not name the published dumps';

test('published dumps become the published images', { skip }, async (t) => {
  for (const name of readdirSync(assets!).filter((file) => /\.dump(?:\.gz)?$/.test(file))) {
    await t.test(name, () => {
      const file = join(assets!, name);
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
  return writeImage(readDump(file.endsWith('.gz') ? gunzipSync(packed) : packed), versions(file));
}

function versions(file: string): ErofsOptions {
  if (!existsSync(`${file}.version`)) return {};
  const version = readFileSync(`${file}.version`, 'latin1').trim() === '1' ? 1 : 0;
  return { minVersion: version, maxVersion: version };
}
