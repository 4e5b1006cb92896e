import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { addImages, type NewImage } from './edit.ts';

const image: NewImage = {
  name: 'new:1.10',
  settings: { source: 'https://h/${a}', platform: ['linux/amd64', 'linux/arm64'], keep: 2, pin: true },
};
const lines = `new:1.10:
    source: https://h/\${a}
    platform:
      - linux/amd64
      - linux/arm64
    keep: 2
    pin: true
`;

const before = `# ours
images:   # all of them
  a: {source: x}   # odd   spacing

  b:
    source:   'y'
    labels:
      k: v   # last
  # a thought on what may come

# limits
store: {keep: 3}
`;

test('new lines go below the last image, and nothing else changes', () => {
  const expected = before.replace('# last\n', `# last\n  ${lines}`);
  assert.equal(addImages(before, [image]), expected);
});

const kept: Readonly<Record<string, readonly [text: string, expected: string]>> = {
  'an empty file': ['', `images:\n  ${lines}`],
  'only comments': ['# ours', `# ours\nimages:\n  ${lines}`],
  'no images': ['store: {keep: 3}', `store: {keep: 3}\n\nimages:\n  ${lines}`],
  'another indentation, and no last newline': [
    'images:\n    a:\n        source: x',
    `images:\n    a:\n        source: x\n    ${lines.replaceAll('\n  ', '\n    ')}`,
  ],
};

for (const [what, [text, expected]] of Object.entries(kept))
  test(`added to ${what}`, () => assert.equal(addImages(text, [image]), expected));

const rewrittenForms: Readonly<Record<string, string>> = {
  'an empty section': '# c\nimages:\nstore: {keep: 3} # d\n',
  'an empty mapping': '# c\nimages: {} # d\n',
  'one mapping on a line': '# c\nimages: {a: {source: x}} # d\n',
  JSON: '{"images": {"a": {"source": "x"}}} # c d\n',
  'a last value that is a text of several lines': 'images:\n  a:\n    source: |-\n      x # c\n      y # d\n',
  'an end of the document': '# c\nimages:\n  a: {source: x}\n# d\n...\n',
};

for (const [what, text] of Object.entries(rewrittenForms))
  test(`added where there is ${what}, with its comments`, () => {
    const after = addImages(text, [image]);
    const old = (parse(text) ?? {}) as { images?: object | null };
    assert.deepEqual(parse(after), { ...old, images: { ...old.images, [image.name]: image.settings } });
    assert.match(after, /c[^]* d/);
  });

test('a file with the line ends of Windows keeps them', () => {
  const text = before.replaceAll('\n', '\r\n');
  assert.equal(addImages(text, [image]), addImages(before, [image]).replaceAll('\n', '\r\n'));
  assert.doesNotMatch(addImages('images: {}\r\n', [image]), /[^\r]\n/);
});

test('several at once, equal ones without aliases', () => {
  const settings = { source: 'x', platform: ['linux/amd64'] };
  const after = addImages('', [
    { name: 'a', settings },
    { name: 'b', settings },
  ]);
  assert.deepEqual(parse(after), { images: { a: settings, b: settings } });
  assert.doesNotMatch(after, /[&*]/);
});
