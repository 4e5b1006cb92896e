import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareVersions, newest } from './version-order.ts';

const ascending: readonly (readonly [string, string])[] = [
  ['24.04.9', '24.04.10'],
  ['20251231_23:59', '20260101_05:24'],
  ['ubuntu-base-24.04-base-amd64.tar.gz', 'ubuntu-base-24.04.1-base-amd64.tar.gz'],
  ['v1', 'v1.0'],
  ['', '0'],
  ['1.9', '1.09'].sort() as [string, string],
  ['a99999999999999999999998', 'a99999999999999999999999'],
  ['a9', 'b1'],
];

for (const [older, newer] of ascending)
  test(`${newer} is newer than '${older}'`, () => {
    assert.ok(compareVersions(older, newer) < 0);
    assert.ok(compareVersions(newer, older) > 0);
    assert.equal(compareVersions(newer, newer), 0);
    assert.equal(
      newest([newer, older], (text) => text),
      newer,
    );
    assert.equal(
      newest([older, newer], (text) => text),
      newer,
    );
  });
