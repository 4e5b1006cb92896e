/** Shell scripts run everywhere: plain sh where they say so, and nothing that shellcheck finds. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { needs } from '../support/run.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const tracked = spawnSync('git', ['grep', '-lE', '^#!/bin/(ba)?sh'], { cwd: root, encoding: 'utf8' });
const isScript = (file: string): boolean => readFileSync(root + file, 'utf8').startsWith('#!');
const scripts = tracked.stdout.split('\n').filter((file) => file !== '' && isScript(file));

test('the launcher is among the scripts that are looked at', { skip: needs({ programs: ['git'] }) }, () => {
  assert.ok(tracked.status !== 0 || scripts.includes('bin/cellar'));
});

test('shellcheck finds nothing', { skip: needs({ programs: ['shellcheck', 'git'] }) }, () => {
  const { status, stdout } = spawnSync('shellcheck', ['--severity=warning', ...scripts], {
    cwd: root,
    encoding: 'utf8',
  });
  assert.equal(status, 0, stdout);
});
