import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scratchDirectory } from '../../../test/support/filesystem.ts';
import { ignoreEvents } from '../../core/events.ts';
import type { Context } from '../context.ts';
import { withDefaults } from './defaults.ts';

test('defaults hold for what is pulled by hand, and the command outdoes them', async () => {
  using scratch = scratchDirectory();
  const configPath = join(scratch.path, 'c.yaml');
  const settings = 'verify: signature, keyring: k.gpg, retries: 8, proxy: "http://p", max-files: 7';
  writeFileSync(configPath, `defaults: {${settings}}\nimages: {a: {source: x}}\n`);
  const { signal } = new AbortController();
  const context: Context = { storeRoot: scratch.path, configPath, events: ignoreEvents, signal };
  const by = await withDefaults(context, { source: 'y', keyrings: [], http: { retries: undefined } });
  assert.equal(by.verify, 'signature');
  assert.deepEqual(by.keyrings, [join(scratch.path, 'k.gpg')]);
  assert.equal(by.http?.retries, 8);
  assert.equal(by.http?.proxy, 'http://p');
  assert.equal(by.maxFiles, 7);
  const against = await withDefaults(context, {
    ...{ source: 'y', verify: 'no', keyrings: ['l.gpg'], http: { retries: 0 }, maxFiles: 9 },
  });
  assert.equal(against.verify, 'no');
  assert.deepEqual(against.keyrings, ['l.gpg']);
  assert.equal(against.http?.retries, 0);
  assert.equal(against.maxFiles, 9);
});
