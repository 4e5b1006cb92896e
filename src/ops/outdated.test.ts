/** What a refused pull leaves on record: nothing where there was no image, and of an image no more than is true. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { serve } from '../../test/support/http-server.ts';
import { makeScratch } from '../../test/support/scratch.ts';
import { sha256, type Digest } from '../core/digest.ts';
import { isCellarError, type CellarError } from '../core/errors.ts';
import { ignoreEvents } from '../core/events.ts';
import { parseReference } from '../core/reference.ts';
import { gatherEvidence } from '../source/verify/evidence.ts';
import { openStore } from '../store/store.ts';
import { noteLook, upstreamRow } from '../store/upstream.ts';
import { ls } from './ls.ts';
import type { Context } from './context.ts';
import { outdated } from './outdated.ts';
import { noteFailure } from './pull/remember.ts';
import { pull } from './pull.ts';
import { rm } from './rm.ts';

const mistyped = '1'.repeat(64);

interface Upstream extends AsyncDisposable {
  readonly context: Context;
  readonly source: string;
  /** What is offered from now on. */
  publish(content: string): Digest;
  /** Publishes the sums of what is not offered as well. */
  publishSums(digest: Digest): void;
  configure(settings: string): void;
  /** By hand. @returns the code of the error */
  pull(sha256: Digest | undefined): Promise<string | undefined>;
  /** State and problem of each reference. */
  states(): Promise<readonly string[]>;
}

async function upstream(): Promise<Upstream> {
  await using stack = new AsyncDisposableStack();
  const scratch = stack.use(makeScratch('outdated'));
  let content = '';
  let sums: string | undefined;
  const server = stack.use(
    await serve((request, response) => {
      const body = request.url === '/file' ? content : request.url === '/SHA256SUMS' ? sums : undefined;
      if (body === undefined) response.writeHead(404).end();
      else response.writeHead(200, { ETag: `"${sha256(Buffer.from(body))}"` }).end(body);
    }),
  );
  const context: Context = {
    storeRoot: join(scratch.path, 'store'),
    configPath: join(scratch.path, 'cellar.yaml'),
    events: ignoreEvents,
    signal: new AbortController().signal,
  };
  const source = `file+${server.url}/file`;
  writeFileSync(context.configPath!, '');
  const owned = stack.move();
  return {
    context,
    source,
    publish(next) {
      content = next;
      return sha256(Buffer.from(next));
    },
    publishSums(digest) {
      sums = `${digest}  file\n`;
    },
    configure: (settings) =>
      writeFileSync(context.configPath!, `images: {app: {source: "${source}", ${settings}}}\n`),
    async pull(digest) {
      try {
        await pull(context, { source, reference: 'app', sha256: digest });
        return undefined;
      } catch (error) {
        return (error as { code?: string }).code;
      }
    },
    async states() {
      const { images } = await outdated(context, { all: true });
      return images.map(({ reference, state, problem }) =>
        [reference, state, problem?.code ?? ''].join(' ').trim(),
      );
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

test('a first pull with a mistyped digest leaves nothing that claims an image', async () => {
  await using from = await upstream();
  const digest = from.publish('one');
  assert.equal(await from.pull(mistyped), 'E_CHECKSUM_MISMATCH');
  assert.deepEqual(await from.states(), []);
  assert.deepEqual((await ls(from.context)).images, []);
  from.configure('verify: no');
  assert.deepEqual(await from.states(), ['app:latest unknown']);
  assert.equal(await from.pull(digest), undefined);
  assert.deepEqual(await from.states(), ['app:latest fresh']);
});

test('an image that was removed is unknown, whatever is refused later', async () => {
  await using from = await upstream();
  assert.equal(await from.pull(from.publish('one')), undefined);
  await rm(from.context, { reference: 'app' });
  assert.equal(await from.pull(mistyped), 'E_CHECKSUM_MISMATCH');
  assert.deepEqual(await from.states(), []);
  from.configure('verify: no');
  assert.deepEqual(await from.states(), ['app:latest unknown E_CHECKSUM_MISMATCH']);
});

test('a later pull with a mistyped digest leaves the state, and is noted', async () => {
  await using from = await upstream();
  const digest = from.publish('one');
  assert.equal(await from.pull(digest), undefined);
  assert.equal(await from.pull(mistyped), 'E_CHECKSUM_MISMATCH');
  assert.deepEqual(await from.states(), ['app:latest fresh E_CHECKSUM_MISMATCH']);
  assert.equal((await outdated(from.context)).outdated, 0);
  assert.equal(await from.pull(digest), undefined);
  assert.deepEqual(await from.states(), ['app:latest fresh']);
});

test('so it is where upstream has sums, which the digest stands in for', async () => {
  await using from = await upstream();
  from.publishSums(from.publish('one'));
  assert.equal(await from.pull(undefined), undefined);
  assert.equal(await from.pull(mistyped), 'E_CHECKSUM_MISMATCH');
  assert.deepEqual(await from.states(), ['app:latest fresh E_CHECKSUM_MISMATCH']);
});

test('so it is where the source itself names another digest', async () => {
  await using from = await upstream();
  const digest = from.publish('one');
  assert.equal(await from.pull(digest), undefined);
  const { context, source } = from;
  const error = await conflict({ source: digest, asked: mistyped });
  using store = openStore(context.storeRoot);
  const reference = parseReference('app');
  const tally = { newObjects: 0, newBytes: 0, transferred: 0 };
  const pulling = { context, store, reference, source, tally };
  noteFailure({ ...pulling, options: { source, sha256: mistyped } }, error);
  assert.deepEqual(await from.states(), ['app:latest fresh E_CHECKSUM_CONFLICT']);
  const newer = await conflict({ source: sha256('two'), asked: mistyped });
  noteFailure({ ...pulling, options: { source, sha256: mistyped } }, newer);
  assert.deepEqual(await from.states(), ['app:latest unverifiable E_CHECKSUM_CONFLICT']);
});

/** As `pull` meets it. */
async function conflict(digests: { source: Digest; asked: Digest }): Promise<CellarError> {
  const options = {
    policy: 'checksum',
    sha256: digests.asked,
    keyring: { keys: async () => [] },
  } as const;
  const rest = { small: async () => undefined, now: new Date(), signal: new AbortController().signal };
  try {
    await gatherEvidence({ name: 'file', sha256: digests.source }, { ...options, ...rest });
  } catch (error) {
    if (isCellarError(error, 'E_CHECKSUM_CONFLICT')) return error;
    throw error;
  }
  throw new Error('two digests were taken for one');
}

test('what upstream offers and cannot be verified is unverifiable, until it can', async () => {
  await using from = await upstream();
  from.publishSums(from.publish('one'));
  assert.equal(await from.pull(undefined), undefined);
  from.publishSums(from.publish('two'));
  from.publish('tampered');
  assert.equal(await from.pull(undefined), 'E_CHECKSUM_MISMATCH');
  assert.deepEqual(await from.states(), ['app:latest unverifiable E_CHECKSUM_MISMATCH']);
  assert.equal(await from.pull(mistyped), 'E_CHECKSUM_MISMATCH');
  assert.deepEqual(await from.states(), ['app:latest unverifiable E_CHECKSUM_MISMATCH']);
  from.publish('two');
  assert.equal(await from.pull(undefined), undefined);
  assert.deepEqual(await from.states(), ['app:latest fresh']);
});

test('a digest in the configuration is asked for each time, so what is refused by it stays so', async () => {
  await using from = await upstream();
  const digest = from.publish('one');
  assert.equal(await from.pull(digest), undefined);
  assert.equal(await from.pull(mistyped), 'E_CHECKSUM_MISMATCH');
  from.configure(`sha256: ${mistyped}`);
  assert.deepEqual(await from.states(), ['app:latest unverifiable E_CHECKSUM_MISMATCH']);
  from.configure(`sha256: ${digest}`);
  assert.deepEqual(await from.states(), ['app:latest fresh E_CHECKSUM_MISMATCH']);
});

test('after a clock was put back, one look brings the times in order', async () => {
  await using from = await upstream();
  const digest = from.publish('one');
  assert.equal(await from.pull(digest), undefined);
  using store = openStore(from.context.storeRoot);
  const reference = parseReference('app');
  noteLook(store, reference, Date.now() + 3_600_000);
  assert.ok(upstreamRow(store, reference)!.checked > Date.now());
  assert.equal(await from.pull(digest), undefined);
  assert.ok(upstreamRow(store, reference)!.checked <= Date.now());
});
