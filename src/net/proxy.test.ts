import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isExempt, proxyFor } from './proxy.ts';

test('no_proxy: names with what is below them, addresses, ranges, ports', () => {
  const cases: [list: string, url: string, exempt: boolean][] = [
    ['', 'http://a.test/', false],
    ['*', 'http://a.test/', true],
    ['a.test', 'http://a.test/', true],
    ['A.Test', 'https://a.TEST/', true],
    ['a.test', 'http://b.a.test/', true],
    ['a.test', 'http://ba.test/', false],
    ['.a.test', 'http://b.a.test/', true],
    ['*.a.test', 'http://b.a.test/', true],
    ['x, a.test y', 'http://a.test/', true],
    ['a.test:8080', 'http://a.test:8080/', true],
    ['a.test:8080', 'http://a.test/', false],
    ['a.test:443', 'https://a.test/', true],
    ['10.0.0.0/8', 'http://10.1.2.3/', true],
    ['10.0.0.0/8', 'http://11.1.2.3/', false],
    ['10.0.0.0/99', 'http://10.1.2.3/', false],
    ['10.0.0.0/32', 'http://10.0.0.0/', true],
    ['10.0.0.0/32', 'http://10.0.0.1/', false],
    ['10.0.0.0/33', 'http://10.0.0.0/', false],
    ['10.0.0.0/0x8', 'http://10.1.2.3/', false],
    ['10.0.0.0/', 'http://11.1.2.3/', false],
    ['10.0.0.0/8', 'http://a.test/', false],
    ['a.test/8', 'http://a.test/', false],
    ['10.0.0.0/8', 'http://[a00::1]/', false],
    ['10.1.2.3', 'http://10.1.2.3/', true],
    ['2.3', 'http://10.1.2.3/', false],
    ['fd00::/8', 'http://[fd00::1]/', true],
    ['fd00::/128', 'http://[fd00::]/', true],
    ['fd00::/128', 'http://[fd00::1]/', false],
    ['fd00::/129', 'http://[fd00::]/', false],
    ['fd00::/8', 'http://253.0.0.1/', false],
    ['[fd00::1]:80', 'http://[fd00::1]/', true],
    ['fd00::1', 'http://[fd00::1]/', true],
  ];
  for (const [list, url, exempt] of cases)
    assert.equal(isExempt(new URL(url), list), exempt, `${list} ${url}`);
});

test('which proxy', () => {
  const of = (url: string, environment: Record<string, string>, own?: string): string | undefined =>
    proxyFor(new URL(url), own, environment)?.uri;
  const both = { http_proxy: 'http://p:1', HTTPS_PROXY: 'q:2' };
  assert.equal(of('http://a.test/', both), 'http://p:1');
  assert.equal(of('https://a.test/', both), 'http://q:2');
  assert.equal(of('https://a.test/', { http_proxy: 'http://p:1', https_proxy: '' }), undefined);
  for (const own of ['localhost:80', 'a.localhost', '127.9.9.9', '[::1]'])
    assert.equal(of(`http://${own}/`, both), undefined, own);
  for (const other of ['alocalhost', '127.0.0.1.test', '[::2]', '128.0.0.1'])
    assert.equal(of(`http://${other}/`, both), 'http://p:1', other);
  assert.equal(of('http://b.a.test/', { ...both, no_proxy: 'a.test' }), undefined);
  assert.equal(of('http://b.a.test/', { ...both, NO_PROXY: 'a.test' }), undefined);
  assert.equal(of('http://b.test/', { ...both, no_proxy: 'a.test' }), 'http://p:1');
  assert.equal(of('http://127.0.0.1/', both, 'http://own:3'), 'http://own:3');
  assert.equal(of('http://a.test/', {}, 'https://own:3'), 'https://own:3');
  const { token } = proxyFor(new URL('http://a.test/'), 'http://u:p%40@own:3', {}) ?? {};
  assert.equal(token, `Basic ${Buffer.from('u:p@').toString('base64')}`);
  for (const broken of ['socks5://u:secret@own:3', 'http://u:secret/or/not@own:3', 'u:secret/@own:3'])
    assert.throws(
      () => proxyFor(new URL('http://a.test/'), broken, {}),
      (error: Error & { code?: string }) => error.code === 'E_USAGE' && !error.message.includes('secret'),
      broken,
    );
});
