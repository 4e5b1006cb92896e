/** Where a redirect may lead, and what goes along. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CellarError } from '../core/errors.ts';
import type { Hop } from './hop.ts';
import { follow, isRedirect } from './redirect.ts';

const secrets = { authorization: 'Basic x', cookie: 'c', 'x-token': 't' };

function hop(changes: Partial<Hop> = {}): Hop {
  return {
    ...{ url: new URL('https://host/a'), method: 'GET', body: undefined, trusted: true },
    headers: { ...secrets, range: 'bytes=1-' },
    ...changes,
  };
}

function to(location: string | undefined, from: Partial<Hop> = {}, status = 302): Hop {
  return follow(hop(from), { status, location }, new Set());
}

const refused = (problem: RegExp) => (error: unknown) =>
  error instanceof CellarError &&
  error.code === 'E_HTTP_REDIRECT' &&
  problem.test(error.message) &&
  !/secret/.test(error.message);

test('which answers are redirects', () => {
  const found = Array.from({ length: 20 }, (_, at) => 295 + at).filter(isRedirect);
  assert.deepEqual(found, [301, 302, 303, 307, 308]);
});

test('the same origin goes on being trusted; another never again, nor the first after it', () => {
  assert.deepEqual(to('/b').headers, hop().headers);
  assert.equal(to('/b').trusted, true);
  for (const elsewhere of ['https://other/a', 'https://host:444/a', '//other/a']) {
    const there = to(elsewhere);
    assert.deepEqual(there.headers, { range: 'bytes=1-' }, elsewhere);
    assert.equal(there.trusted, false);
    const back = follow(there, { status: 302, location: 'https://host/b' }, new Set());
    assert.equal(back.trusted, false);
    assert.deepEqual(back.headers, { range: 'bytes=1-' });
    // Not even within the origin that it was led to.
    assert.equal(follow(there, { status: 302, location: '/c' }, new Set()).trusted, false);
  }
  assert.deepEqual(to('https://host/a', { url: new URL('http://host/a') }).headers, { range: 'bytes=1-' });
});

test('nobody is led to http from https, to a file, or to what is no URL', () => {
  assert.throws(() => to('http://host/a'), refused(/from https to http/));
  assert.equal(to('http://host/b', { url: new URL('http://host/a') }).url.href, 'http://host/b');
  for (const odd of ['file:///etc/passwd', 'ftp://host/a', 'data:,x'])
    assert.throws(() => to(odd), refused(/only http and https/), odd);
  assert.throws(() => to('https://u:secret@[/'), refused(/no URL/));
  assert.throws(() => to(undefined), refused(/where to/));
});

test('a user name in a location is nobody that is shown', () => {
  const { url, headers } = to('https://u:secret@host/b');
  assert.equal(url.href, 'https://host/b');
  assert.equal(headers['authorization'], secrets.authorization);
  assert.throws(() => to('ftp://u:secret@host/b'), refused(/only http/));
});

test('a form becomes a question, but for 307 and 308; what was sent is for nobody else', () => {
  const post = { method: 'POST', body: 'password=x' } as const;
  const outcome = (status: number, from: Partial<Hop>) => {
    const { method, body } = to('/b', from, status);
    return [method, body];
  };
  for (const status of [301, 302, 303]) assert.deepEqual(outcome(status, post), ['GET', undefined]);
  for (const status of [307, 308]) assert.deepEqual(outcome(status, post), ['POST', 'password=x']);
  assert.deepEqual(outcome(303, { ...post, method: 'PUT' }), ['GET', undefined]);
  for (const status of [301, 302])
    assert.deepEqual(outcome(status, { ...post, method: 'PUT' }), ['PUT', 'password=x']);
  for (const status of [301, 303]) assert.deepEqual(outcome(status, { method: 'HEAD' }), ['HEAD', undefined]);
  assert.throws(() => to('https://other/', post, 307), refused(/another server/));
  assert.equal(to('https://other/', post, 303).body, undefined);
});

test('ten redirects, and no eleventh; no place twice, but by another method', () => {
  const seen = new Set<string>();
  let at = hop({ url: new URL('https://host/0') });
  for (let step = 1; step <= 10; step++) at = follow(at, { status: 302, location: `/${step}` }, seen);
  assert.throws(() => follow(at, { status: 302, location: '/11' }, seen), refused(/more than 10/));
  assert.throws(() => to('/a'), refused(/a loop/));
  assert.equal(to('/a', { method: 'POST', body: 'x' }, 303).method, 'GET');
});
