/** What a request says of who asks, and to whom. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstHop } from './hop.ts';
import type { HttpOptions, HttpRequest } from './port.ts';

const { signal } = new AbortController();
const password = { username: 'u', password: 'p' };
const options: HttpOptions = { credentials: password, headers: { 'X-Token': 't', 'Accept-Language': 'de' } };
const own = { 'x-token': 't', 'accept-language': 'de', authorization: 'Basic dTpw' };
const always = { 'user-agent': 'rootcellar', 'accept-encoding': 'identity' };

function hop(url: string, request: Partial<HttpRequest> = {}, origin?: string) {
  return firstHop(url, { signal, ...request }, { options, origin });
}

test("a source's own headers and credentials are for its own server", () => {
  const mine = hop('https://host/a');
  assert.deepEqual(mine.headers, { ...always, ...own });
  assert.equal(mine.trusted, true);
  const foreign = hop('https://mirror/a', { foreign: true });
  assert.deepEqual(foreign.headers, { ...always, 'accept-language': 'de' });
  assert.equal(foreign.trusted, false);
});

test('where the server is named, no request can call another its own, or it foreign', () => {
  for (const foreign of [true, false]) {
    assert.deepEqual(hop('https://host/a', { foreign }, 'https://host').headers, { ...always, ...own });
    for (const other of ['https://mirror/a', 'http://host/a', 'https://host:444/a']) {
      const { headers, trusted } = hop(other, { foreign }, 'https://host');
      assert.deepEqual(headers, { ...always, 'accept-language': 'de' }, other);
      assert.equal(trusted, false);
    }
  }
});

test('credentials in a URL are for that server, and leave the URL', () => {
  const { url, headers } = hop('https://me:s%40c@mirror/a?b#c', { foreign: true });
  assert.equal(url.href, 'https://mirror/a?b');
  assert.equal(headers['authorization'], `Basic ${Buffer.from('me:s@c').toString('base64')}`);
  // A percent sign that begins nothing stands for itself.
  const odd = hop('https://me:100%@host/a').headers['authorization'];
  assert.equal(odd, `Basic ${Buffer.from('me:100%').toString('base64')}`);
  const token = Buffer.from('tok:').toString('base64');
  assert.equal(hop('https://tok@host/a').headers['authorization'], `Basic ${token}`);
});

test('a bearer token is shown as one; what a request says itself comes last, but for the encoding', () => {
  const bearer = firstHop('https://host/a', { signal }, { options: { credentials: { bearer: 'b' } } });
  assert.deepEqual(bearer.headers, { ...always, authorization: 'Bearer b' });
  const headers = { Authorization: 'Bearer other', 'X-TOKEN': 'mine', 'Accept-Encoding': 'gzip' };
  const said = hop('https://host/a', { headers, method: 'PUT', body: 'x' });
  assert.equal(said.headers['authorization'], 'Bearer other');
  assert.equal(said.headers['x-token'], 'mine');
  assert.equal(said.headers['accept-encoding'], 'identity');
  assert.deepEqual([said.method, said.body, hop('https://host/a').method], ['PUT', 'x', 'GET']);
});

test('what is no http or https URL is refused, and its password not repeated', () => {
  for (const text of ['nowhere', '', 'ftp://u:secret@host/', 'file:///etc/passwd', 'https://u:secret@[/'])
    assert.throws(
      () => hop(text),
      (error: Error & { code?: string }) => error.code === 'E_USAGE' && !error.message.includes('secret'),
      text,
    );
});
