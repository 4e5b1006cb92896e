import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest, nearestReference } from './nearest.ts';

test('a name of which nothing is left is another name', () => {
  assert.equal(nearest('y', ['b']), undefined);
  assert.equal(nearest('ab', ['cb']), 'cb');
});

test('references: a tag that is common to all makes none of them near', () => {
  assert.equal(nearestReference('zz:latest', ['b:latest']), undefined);
  assert.equal(nearestReference('zz:2026.11.1', ['web:2026.11.1']), undefined);
  assert.equal(nearestReference('ap:latest', ['app:latest', 'b:latest']), 'app:latest');
});

test('references: the same tag, else the nearest, of the name that was meant', () => {
  assert.equal(nearestReference('ap:2', ['app:1', 'app:2', 'app:3']), 'app:2');
  assert.equal(nearestReference('app:1.20', ['app:2.0', 'app:1.21']), 'app:1.21');
  assert.equal(nearestReference('ap', ['app:1', 'app']), 'app');
  assert.equal(nearestReference('host:5000/ap', ['host:5000/app']), 'host:5000/app');
});
