import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isCellarError } from '../core/errors.ts';
import { parseReference } from '../core/reference.ts';
import { encodeComponent, fileReference, referenceOfPath } from './file-references.ts';

const names: Readonly<Record<string, string>> = {
  'https://dl.k8s.io/release/v1.34.1/bin/linux/amd64/kubectl':
    'files/dl.k8s.io/release/v1.34.1/bin/linux/amd64/kubectl',
  'https://github.com/opencontainers/runc/releases/download/v1.3.0/runc.amd64':
    'files/github.com/opencontainers/runc/releases/download/v1.3.0/runc.amd64',
  'https://host:8443/Linux/a%2Bb': 'files/host__3a8443/0__4cinux/a__2bb',
  'https://host/x86_64//a--b_c?d=1': 'files/host/x86_64/a--b_c__3fd__3d1',
  'https://host/charts/': 'files/host/charts/index.html',
  'https://host': 'files/host/index.html',
  'https://host/.hidden/a__b/-c/%E2%82%AC/%zz': 'files/host/0__2ehidden/a__5f_b/0__2dc/0__e2__82__ac/0__25zz',
  'https://host/0L/a%2Fb': 'files/host/0__30__4c/a__2fb',
};

for (const [url, name] of Object.entries(names))
  test(`${url} is kept as ${name}`, () => assert.equal(fileReference(new URL(url)), `${name}:latest`));

test('any name becomes a component of a reference, and no two the same', () => {
  fc.assert(
    fc.property(
      fc.string({
        minLength: 1,
        maxLength: 12,
        unit: fc.constantFrom(...['0', 'a', 'L', '-', '.', '_', '+', '/', 'é', ' ', '4', 'c']),
      }),
      (name) => {
        const encoded = encodeComponent(name);
        assert.equal(parseReference(`files/${encoded}`), `files/${encoded}:latest`);
        assert.equal(decode(encoded), name);
      },
    ),
    { numRuns: 2000 },
  );
});

test('a name that would be too long is refused', () => {
  assert.throws(
    () => referenceOfPath(['host', 'x'.repeat(250)]),
    (error) => isCellarError(error, 'E_USAGE'),
  );
});

function decode(encoded: string): string {
  const bytes = encoded
    .replace(/^0(?=__)/, '')
    .replace(/__([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString();
}
