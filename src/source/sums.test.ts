import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSums } from './sums.ts';

const a = 'a'.repeat(64);
const b = 'b'.repeat(64);

test('GNU and BSD lines, binary marks, leading dots, upper case, line ends of others', () => {
  const text = `${a}  x.tar\r\n${b} *y.tar\n${a}  ./z.tar\nSHA256 (./w (1).tar) = ${b.toUpperCase()}\n${a}   spaced`;
  assert.deepEqual(parseSums(text), [
    { name: 'x.tar', sha256: a },
    { name: 'y.tar', sha256: b },
    { name: 'z.tar', sha256: a },
    { name: 'w (1).tar', sha256: b },
    { name: ' spaced', sha256: a },
  ]);
});

test('armour and what else surrounds sums is passed over', () => {
  const text = [
    '-----BEGIN PGP SIGNED MESSAGE-----',
    'Hash: SHA256',
    '',
    `${a}  x.tar`,
    `\\${a}  odd\\nname`,
    `${a.slice(1)}  short`,
    `${a}`,
    `MD5 (x.tar) = ${a.slice(32)}`,
    '# comment',
    '-----BEGIN PGP SIGNATURE-----',
  ].join('\n');
  assert.deepEqual(parseSums(text), [{ name: 'x.tar', sha256: a }]);
});
