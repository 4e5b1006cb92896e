import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseChallenges } from './challenge.ts';

const cases: readonly (readonly [string, ReturnType<typeof parseChallenges>])[] = [
  ['', []],
  ['Basic realm="Registry"', [{ scheme: 'basic', parameters: { realm: 'Registry' } }]],
  [
    'Bearer realm="https://a.example/t?x=1,2",service="a, b",scope="repository:a/b:pull,push"',
    [
      {
        scheme: 'bearer',
        parameters: {
          realm: 'https://a.example/t?x=1,2',
          service: 'a, b',
          scope: 'repository:a/b:pull,push',
        },
      },
    ],
  ],
  [
    'Negotiate, BASIC Realm = plain , Bearer realm="q\\"uoted\\\\",error=invalid_token',
    [
      { scheme: 'negotiate', parameters: {} },
      { scheme: 'basic', parameters: { realm: 'plain' } },
      { scheme: 'bearer', parameters: { realm: 'q"uoted\\', error: 'invalid_token' } },
    ],
  ],
];
for (const [header, challenges] of cases)
  test(`challenges of '${header}'`, () => {
    assert.deepEqual(parseChallenges(header), challenges);
  });

test('a broken header ends', () => {
  for (const header of ['"', '=', 'a="', '"'.repeat(10_000), 'a='.repeat(10_000), '\\'.repeat(10_000)])
    assert.ok(parseChallenges(header).length <= header.length);
});
