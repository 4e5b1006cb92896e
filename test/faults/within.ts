/**
 * The questions of `rig.ts`, asked in the test's own process: a thousand faults, each followed by four commands, would
 * spend their time on starting programs. What fails is still the real `cellar`.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ignoreEvents } from '../../src/core/events.ts';
import type { Context } from '../../src/ops/context.ts';
import { exportImage } from '../../src/ops/export.ts';
import { fsck } from '../../src/ops/fsck.ts';
import { ls } from '../../src/ops/ls.ts';
import { makeScratch } from '../support/scratch.ts';

/** As `assertClean`: fsck finds nothing, and nothing lingers in tmp/. */
export async function assertCleanWithin(store: string, context: string): Promise<void> {
  const { damaged } = await fsck(contextOf(store), {});
  assert.deepEqual(damaged, [], context);
  assert.deepEqual(readdirSync(join(store, 'tmp')), [], `${context}: tmp/ is not empty`);
}

/** What the store's references name, as one comparable text. */
export async function referencesWithin(store: string): Promise<string> {
  return JSON.stringify(await ls(contextOf(store)));
}

/** SHA-256 of `export REFERENCE -`. */
export async function exportDigestWithin(reference: string, store: string): Promise<string> {
  using scratch = makeScratch('export');
  const destination = join(scratch.path, 'image.tar');
  await exportImage(contextOf(store), { reference, destination });
  return createHash('sha256').update(readFileSync(destination)).digest('hex');
}

export function contextOf(storeRoot: string): Context {
  return { storeRoot, events: ignoreEvents, signal: new AbortController().signal };
}
