/** Secrets in the forms in which they come: whatever a message is made of, none is left in it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redact, redactParameters } from './redact.ts';

const texts = [
  ['https://user:hush@host/a', 'https://***@host/a'],
  [
    'pull docker+http://u:hu@sh@h:5000/a, then git://hush@b',
    'pull docker+http://***@h:5000/a, then git://***@b',
  ],
  ['https://host/a?x=1&token=hush&y=2', 'https://host/a?x=1&token=***&y=2'],
  ['https://host/?X-Amz-Signature=hush', 'https://host/?X-Amz-Signature=***'],
  ['https://host/?X-Goog-Credential=hush&b=1', 'https://host/?X-Goog-Credential=***&b=1'],
  ['https://host/?private_token=hush;b', 'https://host/?private_token=***'],
  ['https://host/?a=1;apikey=hush', 'https://host/?a=1;apikey=***'],
  ['https://host/?monkey=1&tokens=hush', 'https://host/?monkey=1&tokens=***'],
  ['tar+https:user:hush@host/a', 'tar+https:***@host/a'],
  ['https:\\\\user:hush@host/a', 'https:\\\\***@host/a'],
  ['https://user:http:hush@host/a', 'https://***@host/a'],
  ['docker://quay.io/a@sha256:0123', 'docker://quay.io/a@sha256:0123'],
  ['https://host?mail=a@b', 'https://host?mail=a@b'],
] as const;

for (const [text, shown] of texts)
  test(`${text} is shown as ${shown}`, () => assert.equal(redact(text), shown));

const names =
  'sig key pass pwd auth jwt secret passwd password passphrase signature credential token api-key api_key apikey';
const more = 'access_key access-key AWSAccessKeyId Policy-Signature X-Amz-Date X-Goog-Date oauth_token_2';
for (const name of [...names.split(' '), ...more.split(' ')])
  for (const before of ['?', '?a=b&', ';'])
    test(`the value of ${before}${name} is cut out`, () =>
      assert.equal(redact(`https://host/${before}${name}=hush%20/x=y`), `https://host/${before}${name}=***`));

test('texts that begin like a secret again and again are read once', () => {
  for (const again of ['token', 'http:', 'a.']) {
    const text = `?${again.repeat((4 << 20) / again.length)}`;
    assert.equal(redact(text), text);
  }
});

test('values of parameters are hidden by name, and searched otherwise', () => {
  const secrets = {
    ...{ 'db-password': 'a', token: 'b', api_key: 'c', 'signing-key': 'd', clientSecret: 'e' },
    ...{ PASSPHRASE: 'f', 'root-pass': 'g', credentials: 'h', private_part: 'i' },
  };
  for (const value of Object.values(redactParameters(secrets))) assert.equal(value, '***');
  assert.deepEqual(redactParameters({ region: 'north', mirror: 'https://u:p@h/' }), {
    region: 'north',
    mirror: 'https://***@h/',
  });
});
