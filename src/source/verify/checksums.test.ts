import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCellarError } from '../../core/errors.ts';
import { digestOf, parseChecksums } from './checksums.ts';

const a = 'a'.repeat(64);
const b = 'b'.repeat(64);
const source = 'https://host/SHA256SUMS';

function find(text: string, name: string, own = false): string {
  return digestOf(parseChecksums(text, source), { names: [name], own, source });
}

test('GNU, BSD and OpenSSL lines, binary marks, upper case, other line ends, a byte order mark', () => {
  const text = [
    `\uFEFF${a}  x.tar`,
    `${b} *y.tar`,
    `${a.toUpperCase()}  ./z.tar`,
    `SHA256 (./w (1).tar) = ${b}`,
    `SHA2-256(v.tar)= ${a}`,
    '',
    '# a remark',
    `MD5 (x.tar) = ${b.slice(32)}`,
    `SHA512 (x.tar) = ${b}${b}`,
    `${b}   spaced`,
  ].join('\r\n');
  assert.equal(find(text, 'x.tar'), a);
  assert.equal(find(text, 'y.tar'), b);
  assert.equal(find(text, 'z.tar'), a);
  assert.equal(find(text, 'w (1).tar'), b);
  assert.equal(find(text, 'v.tar'), a);
  assert.equal(find(text, ' spaced'), b);
});

test('escaped names', () => {
  assert.equal(find(`\\${a}  odd\\nna\\\\me\n`, 'odd\nna\\me'), a);
  assert.equal(find(`${a}  odd\\nname\n`, 'odd\\nname'), a);
  assert.equal(find(`\\SHA256 (odd\\nname) = ${a}\n`, 'odd\nname'), a);
  assert.equal(find(`SHA256 (odd\\nname) = ${a}\n`, 'odd\\nname'), a);
});

test('a bare sum, or one with a path, counts in the list of that file alone', () => {
  assert.equal(find(`${a}\n`, 'x.tar', true), a);
  assert.equal(find(`  ${a.toUpperCase()} `, 'x.tar', true), a);
  assert.equal(find(`${a}  dist/x.tar\n`, 'x.tar', true), a);
  const refused = (error: unknown): boolean => isCellarError(error, 'E_CHECKSUM_NAME');
  assert.throws(() => find(`${a}\n`, 'x.tar'), refused);
  assert.throws(() => find(`${a}  old/x.tar\n`, 'x.tar'), refused);
  assert.throws(() => find(`${a}  old/x.tar\n${b}  y\n`, 'x.tar', true), refused);
  assert.throws(() => find(`${a}  xx.tar\n`, 'x.tar', true), refused);
});

test('a name that is not listed: the hint says which are', () => {
  assert.throws(
    () => find(`${a}  y.tar\n${b}  z.tar\n`, 'x.tar'),
    (error) =>
      isCellarError(error, 'E_CHECKSUM_NAME') && error.exitCode === 5 && /y\.tar; z\.tar/.test(error.hint!),
  );
  const many = Array.from({ length: 40 }, (_, index) => `${a}  file-${index}`).join('\n');
  assert.throws(
    () => find(many, 'x.tar'),
    (error) => isCellarError(error, 'E_CHECKSUM_NAME') && error.hint!.endsWith('file-7; 32 more'),
  );
});

test('twice the same is well, twice another is not', () => {
  assert.equal(find(`${a}  x\n${a} *./x\n`, 'x'), a);
  assert.throws(
    () => find(`${a}  x\n${b}  x\n`, 'x'),
    (error) => isCellarError(error, 'E_CHECKSUM_FORMAT') && /2 different/.test(error.message),
  );
  assert.throws(
    () =>
      digestOf(parseChecksums(`${a}  a b\n${b}  a%20b\n`, source), {
        names: ['a%20b', 'a b'],
        own: false,
        source,
      }),
    (error) => isCellarError(error, 'E_CHECKSUM_FORMAT'),
  );
});

test('what is no list of sums is refused', () => {
  const junk = [
    '',
    '\n\n# nothing\n',
    '<!DOCTYPE html><html><body>Not found</body></html>',
    `${a.slice(1)}  x`,
    `${a}x  x`,
    `${a}  x\nsomething else\n`,
    `${a}\n${b}\n`,
    `${a}\n${b}  x\n`,
    '\0\x01\x02',
  ];
  for (const text of junk)
    assert.throws(
      () => parseChecksums(text, source),
      (error) => isCellarError(error, 'E_CHECKSUM_FORMAT') && error.exitCode === 5,
      JSON.stringify(text),
    );
});
