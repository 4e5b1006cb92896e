import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTarParser, type TarMember } from './parse.ts';
import { writeUstar, type UstarFields } from './ustar.ts';

const limits = { maxSize: 2 ** 40, maxFiles: 1000 };

function block(fields: Partial<UstarFields>): Buffer {
  const bytes = Buffer.alloc(512);
  const plain = {
    name: 'a',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: 0,
    typeFlag: '0',
    link: '',
    rdev: 0,
  };
  writeUstar(bytes, 0, { ...plain, ...fields });
  return bytes;
}

function padded(text: string): Buffer {
  const bytes = Buffer.alloc(Math.ceil(text.length / 512) * 512);
  bytes.write(text, 'latin1');
  return bytes;
}

interface Seen {
  readonly members: TarMember[];
  readonly texts: string[];
}

function parse(bytes: Buffer, step: number, bounds = limits): Seen {
  const seen: Seen = { members: [], texts: [] };
  let text = '';
  const parser = createTarParser(
    {
      member: (member) => void seen.members.push(member),
      data: (chunk, start, end) => (text += Buffer.from(chunk.subarray(start, end)).toString('latin1')),
      memberEnd() {
        seen.texts.push(text);
        text = '';
      },
    },
    { source: 'test.tar', limits: bounds },
  );
  for (let at = 0; at < bytes.length; at += step) parser.push(bytes.subarray(at, at + step));
  parser.finish();
  return seen;
}

const end = Buffer.alloc(1024);
const content = 'x'.repeat(700);
const small = Buffer.concat([
  block({ name: 'd/', typeFlag: '5' }),
  block({ name: 'd/a', size: content.length }),
  padded(content),
  block({ typeFlag: 'x', size: 20 }),
  padded('20 path=long-name-b\n'),
  block({ size: 3 }),
  padded('abc'),
  end,
]);

test('chunks of any size give the same members', () => {
  const wanted = parse(small, small.length);
  assert.deepEqual(
    wanted.members.map(({ path, type, size, offset, dataOffset }) => [path, type, size, offset, dataOffset]),
    [
      ['d/', 'directory', 0, 0, 512],
      ['d/a', 'file', 700, 512, 1024],
      ['long-name-b', 'file', 3, 3072, 3584],
    ],
  );
  assert.deepEqual(wanted.texts, ['', content, 'abc']);
  for (const step of [1, 3, 511, 512, 513, 1000, 4096])
    assert.deepEqual(parse(small, step), wanted, String(step));
});

test('content is handed on as the very chunk that was pushed', () => {
  const chunk = new Uint8Array(small);
  const chunks: Uint8Array[] = [];
  const handler = { member() {}, data: (given: Uint8Array) => void chunks.push(given), memberEnd() {} };
  createTarParser(handler, { source: 'x', limits }).push(chunk);
  assert.ok(chunks.length > 0 && chunks.every((given) => given === chunk));
});

test('cut short anywhere it is truncated, and says where', () => {
  for (let length = 512; length < small.length - 1024; length++) {
    assert.throws(
      () => parse(small.subarray(0, length), length),
      (error: { code: string; details: { offset: number } }) =>
        error.code === 'E_ARCHIVE_TRUNCATED' && error.details.offset === length,
      String(length),
    );
  }
});

test('what is skippable may be passed over, as if it had been pushed', () => {
  const members: string[] = [];
  const parser = createTarParser(
    { member: ({ path }) => void members.push(path), data: () => assert.fail(), memberEnd() {} },
    { source: 'x', limits },
  );
  for (let at = 0; at < small.length;) {
    parser.push(small.subarray(at, at + 512));
    at += 512;
    const bytes = parser.skippable();
    parser.skip(bytes);
    at += bytes;
  }
  parser.finish();
  assert.deepEqual(members, ['d/', 'd/a', 'long-name-b']);
});

test('a limit is met before any byte of the member is handed on', () => {
  const members: string[] = [];
  const parser = createTarParser(
    { member: ({ path }) => void members.push(path), data: () => assert.fail(), memberEnd() {} },
    { source: 'x', limits: { maxSize: 699, maxFiles: 10 } },
  );
  assert.throws(() => parser.push(small), { code: 'E_ARCHIVE_LIMIT' });
  assert.deepEqual(members, ['d/']);
  const refused = { code: 'E_ARCHIVE_LIMIT' };
  const whole = { maxSize: 703, maxFiles: 3 };
  assert.equal(parse(small, 512, whole).members.length, 3);
  assert.throws(() => parse(small, 512, { ...whole, maxFiles: 2 }), refused);
  assert.throws(() => parse(small, 512, { ...whole, maxSize: 702 }), refused, 'of all members');
});

test('padding without end is a bomb', () => {
  const parser = createTarParser(
    { member() {}, data() {}, memberEnd() {} },
    { source: 'x', limits: { maxSize: 1000, maxFiles: 10 } },
  );
  const zeros = Buffer.alloc(1 << 20);
  assert.throws(
    () => {
      for (let count = 0; count < 100; count++) parser.push(zeros);
    },
    { code: 'E_ARCHIVE_LIMIT' },
  );
});

test('bytes that no member owns are passed over: a volume label, a dump directory, a file named as a directory', () => {
  const bytes = Buffer.concat([
    block({ typeFlag: 'V', size: 600 }),
    padded('v'.repeat(600)),
    block({ name: 'dump', typeFlag: 'D', size: 600 }),
    padded('Yfile\0'.repeat(100)),
    block({ name: 'old/', size: 5 }),
    padded('bytes'),
    block({ name: 'dir', typeFlag: '5', size: 4096 }),
    block({ name: 'b', size: 1 }),
    padded('b'),
    end,
  ]);
  const { members, texts } = parse(bytes, 700);
  assert.deepEqual(
    members.map(({ path, type, storedSize }) => [path, type, storedSize]),
    [
      ['dump', 'directory', 0],
      ['old/', 'directory', 0],
      ['dir', 'directory', 0],
      ['b', 'file', 1],
    ],
  );
  assert.deepEqual(texts, ['', '', '', 'b']);
});

test('volumes, old long names and unknown sparse formats are refused as formats', () => {
  const pax = (text: string): Buffer =>
    Buffer.concat([block({ typeFlag: 'x', size: text.length }), padded(text)]);
  const cases = [
    block({ typeFlag: 'M' }),
    block({ typeFlag: 'N' }),
    pax('23 GNU.volume.offset=5\n'),
    Buffer.concat([pax('22 GNU.sparse.major=2\n'), pax('25 GNU.sparse.realsize=5\n'), block({})]),
  ];
  for (const bytes of cases)
    assert.throws(() => parse(Buffer.concat([bytes, end]), 5000), { code: 'E_ARCHIVE_FORMAT' });
});
