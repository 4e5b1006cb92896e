import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromShown, fromText, toText } from './bytes.ts';

test('what a terminal would obey is shown as its bytes', () => {
  const shown = [
    ['\x1b[2J', '\\x1b[2J'],
    [fromText('\u009b2J'), '\\xc2\\x9b2J'],
    ['\x9b2J', '\\x9b2J'],
    [fromText('grün\u202egpj.exe'), 'grün\\xe2\\x80\\xaegpj.exe'],
    [fromText('日本語'), '日本語'],
  ] as const;
  for (const [bytes, text] of shown) assert.equal(toText(bytes), text);
});

test('a name without a backslash comes back from what was shown', () => {
  const odd = fc.constantFrom('\u009b', '\u202e', '\u2069', '\n', '\ufffd', 'é', 'a');
  const text = fc.array(odd).map((chars) => fromText(chars.join('')));
  const bytes = fc.uint8Array().map((array) => Buffer.from(array).toString('latin1').replaceAll('\\', ''));
  fc.assert(fc.property(fc.oneof(text, bytes), (name) => assert.equal(fromShown(toText(name)), name)));
});
