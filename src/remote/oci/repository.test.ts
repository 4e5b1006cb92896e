import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCellarError } from '../../core/errors.ts';
import { parseImageLocation, parseMirror } from './repository.ts';

const digest = 'a'.repeat(64);
const hub = 'https://registry-1.docker.io';

const good: readonly (readonly [string, string, string, string])[] = [
  ['docker://debian', hub, 'library/debian', 'latest'],
  ['docker://debian:bookworm', hub, 'library/debian', 'bookworm'],
  ['docker://grafana/grafana', hub, 'grafana/grafana', 'latest'],
  ['docker://docker.io/debian', hub, 'library/debian', 'latest'],
  ['docker://index.docker.io/library/debian', hub, 'library/debian', 'latest'],
  [`docker://debian@sha256:${digest}`, hub, 'library/debian', `sha256:${digest}`],
  [`docker://quay.io/a/b:tag@sha256:${digest}`, 'https://quay.io', 'a/b', `sha256:${digest}`],
  ['registry://quay.io/a/b/c-d_e.f', 'https://quay.io', 'a/b/c-d_e.f', 'latest'],
  ['docker://localhost/a', 'http://localhost', 'a', 'latest'],
  ['docker://localhost:5000/a:v1', 'http://localhost:5000', 'a', 'v1'],
  ['docker://127.0.0.1:5000/a', 'http://127.0.0.1:5000', 'a', 'latest'],
  ['docker://[::1]:5000/a', 'http://[::1]:5000', 'a', 'latest'],
  ['docker+https://localhost:5000/a', 'https://localhost:5000', 'a', 'latest'],
  ['docker://host:5000/a', 'https://host:5000', 'a', 'latest'],
  ['docker+http://host:5000/a', 'http://host:5000', 'a', 'latest'],
  ['docker://Host/a', 'https://host', 'a', 'latest'],
];
for (const [text, origin, name, reference] of good)
  test(`${text} is ${name} at ${origin}`, () => {
    const image = parseImageLocation(text);
    assert.deepEqual([image.origin, image.name, image.reference], [origin, name, reference]);
    assert.equal(image.digest, reference.startsWith('sha256:') ? digest : undefined);
  });

const bad = [
  'docker://',
  'docker:///a',
  'docker://A',
  'docker://quay.io/A',
  'docker://quay.io/',
  'docker://quay.io/a/../b',
  'docker://a:',
  'docker://a:.b',
  'docker://a:b:c',
  'docker://a?x',
  'docker://a#x',
  'docker://a@sha256:12',
  `docker://a@sha512:${digest}${digest}`,
  `docker://a@sha256:${digest}@sha256:${digest}`,
  'docker://-h.x/a',
  'docker://h.x:123456/a',
  'docker://h.x:70000/a',
];
for (const text of bad)
  test(`${text} is refused`, () => {
    assert.throws(
      () => parseImageLocation(text),
      (error) => isCellarError(error, 'E_SOURCE_INVALID'),
    );
  });

test('credentials in a name are refused and not repeated', () => {
  assert.throws(
    () => parseImageLocation('docker://user:secret@quay.io/a'),
    (error) => isCellarError(error, 'E_SOURCE_INVALID') && !error.message.includes('secret'),
  );
});

test('a mirror is another place for the same name', () => {
  const name = 'library/debian';
  const at = (text: string) => {
    const mirror = parseMirror(text, name);
    return `${mirror.origin}/v2/${mirror.name}`;
  };
  assert.equal(at('mirror.example'), 'https://mirror.example/v2/library/debian');
  assert.equal(
    at('mirror.example:5000/docker.io/'),
    'https://mirror.example:5000/v2/docker.io/library/debian',
  );
  assert.equal(at('http://mirror.example/hub'), 'http://mirror.example/v2/hub/library/debian');
  assert.equal(at('docker+http://mirror.example'), 'http://mirror.example/v2/library/debian');
  assert.equal(at('docker://localhost:5000'), 'http://localhost:5000/v2/library/debian');
  for (const text of ['', 'ftp://x', 'user:pass@host', 'host/A'])
    assert.throws(
      () => parseMirror(text, name),
      (error) => isCellarError(error, 'E_SOURCE_INVALID'),
    );
});
