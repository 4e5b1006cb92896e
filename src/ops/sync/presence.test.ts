/** What counts as there, proven, seen as it is asked for now, and due: the entry or what is on record is changed in one point. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { makeScratch, memory } from '../../../test/support/scratch.ts';
import type { ImageEntry } from '../../config/images.ts';
import { sha256 } from '../../core/digest.ts';
import { hostPlatform, type Platform } from '../../core/platform.ts';
import type { ImageRecord, Provenance } from '../../core/record.ts';
import { referenceKey } from '../../store/references.ts';
import { openStore, type Store } from '../../store/store.ts';
import type { UpstreamRow } from '../../store/upstream.ts';
import { presence, wantedPlatforms } from './presence.ts';

const archive = sha256('archive');
const content = sha256('content');
const minute = 60_000;
const [reference, source] = ['app:latest', 'lxc+https://user:hush@host/debian'] as const;
/** As it may be recorded. */
const shown = 'lxc+https://***@host/debian';

/** As `sync` would have it that has just brought what is on record. */
const entry: ImageEntry = {
  ...{ reference, source, mirrors: [], pin: false, groups: [], where: 'cellar.yaml:1' },
  ...{ verify: 'strongest', keyrings: [], refresh: 5 * minute, labels: { team: 'a' }, network: {} },
};

let scratch: ReturnType<typeof makeScratch>;
let store: Store;
beforeEach(() => {
  scratch = makeScratch('presence', memory);
  store = openStore(`${scratch.path}/store`, { create: true });
});
afterEach(() => {
  store[Symbol.dispose]();
  scratch[Symbol.dispose]();
});

interface OnRecord {
  readonly kind?: ImageRecord['kind'];
  readonly verified?: Provenance['verified'];
  readonly platforms?: readonly Platform[];
  readonly row?: Partial<UpstreamRow>;
  readonly pinned?: boolean;
}

function put({
  kind = 'tree',
  verified = 'checksum',
  platforms = [hostPlatform],
  row,
  pinned,
}: OnRecord): void {
  const seen = platforms.map((platform) => ({ platform, revision: '1', image: sha256(platform) }));
  const last: UpstreamRow = { source: shown, seen, checked: Date.now(), ...row };
  const provenance: Provenance = { via: 'pull', source: shown, sourceDigest: archive, verified };
  store.rows.write([
    { kind: 'upstream', key: reference, value: last },
    { kind: 'pin', key: reference, value: pinned === true ? { at: 1 } : undefined },
    ...platforms.flatMap((platform) => {
      const about = {
        platform,
        created: 1,
        files: 1,
        bytes: 1,
        labels: { team: 'a', more: 'b' },
        provenance,
      };
      const to = { reference, platform, image: sha256(platform), updated: 1, changes: 1 };
      return [
        { kind: 'image' as const, key: to.image, value: { kind, content, ...about } },
        { kind: 'reference' as const, key: referenceKey(reference, platform), value: to },
      ];
    }),
  ]);
}

/** The flags that are set, and the state. */
function is(changed: Partial<ImageEntry> = {}, limits: { keep?: number } = {}): string {
  const { isThere, isProven, isSettled, isDue, state } = presence(store, { ...entry, ...changed }, limits);
  const flags = Object.entries({ isThere, isProven, isSettled, isDue });
  return [...flags.flatMap(([name, set]) => (set ? [name.slice(2)] : [])), state].join(' ');
}

const settled = 'There Proven Settled fresh';
const unproven = 'There Due stale';
const unseen = 'There Proven Due stale';
const unnoted = 'There Proven Due fresh';

test('what was brought a moment ago, as the entry says, is settled', () => {
  put({});
  assert.equal(is(), settled);
  assert.deepEqual([...presence(store, entry, {}).contents], [[hostPlatform, content]]);
});

test('what the entry demands of proof is held against the record', () => {
  put({});
  for (const well of [{ verify: 'checksum' }, { verify: 'no' }, { sha256: archive }] as const)
    assert.equal(is(well), settled, JSON.stringify(well));
  for (const verify of ['strongest', 'no'] as const)
    assert.equal(is({ verify, sha256: sha256('another') }), unproven);
  assert.equal(is({ verify: 'signature' }), unproven);
  put({ verified: 'signature' });
  assert.equal(is({ verify: 'signature' }), settled);
  put({ verified: 'no' });
  assert.equal(is({ verify: 'checksum' }), unproven);
  assert.equal(is({ verify: 'no' }), settled);
});

test('who names a signer of OCI images means a signature, unless less will do', () => {
  const cosign = { key: '/etc/cosign.pub' };
  put({});
  assert.equal(is({ cosign }), settled, 'a tree has no such signature');
  put({ kind: 'oci' });
  assert.equal(is(), settled);
  assert.equal(is({ cosign }), unproven);
  assert.equal(is({ cosign, verify: 'checksum' }), settled);
  put({ kind: 'oci', verified: 'signature' });
  assert.equal(is({ cosign }), settled);
});

test('every platform that is wanted has to be there, and proven', () => {
  const other = 'linux/other';
  put({});
  assert.equal(is({ platforms: [hostPlatform, other] }), 'Proven Settled unknown');
  put({ platforms: [hostPlatform, other] });
  assert.equal(is({ platforms: [hostPlatform, other] }), settled);
  assert.equal(is({ platforms: 'all' }), settled);
  const key = sha256(other);
  const record = store.rows.get<ImageRecord>('image', key)!;
  const provenance = { ...record.provenance, verified: 'no' } as const;
  store.rows.write([{ kind: 'image', key, value: { ...record, provenance } }]);
  assert.equal(is({ verify: 'checksum' }), settled, 'of this machine alone');
  assert.equal(is({ verify: 'checksum', platforms: [hostPlatform, other] }), unproven);
  assert.equal(is({ verify: 'checksum', platforms: 'all' }), unproven);
});

test('what knows no platforms is kept for the first', () => {
  const platforms = ['linux/a', 'linux/b'] as const;
  assert.deepEqual(wantedPlatforms({ ...entry, platforms }), platforms);
  assert.equal(wantedPlatforms({ ...entry, platforms: 'all' }), undefined);
  assert.deepEqual(wantedPlatforms(entry), [hostPlatform]);
  const file = { ...entry, source: '/srv/image.tar' };
  assert.deepEqual(wantedPlatforms({ ...file, platforms }), ['linux/a']);
  assert.deepEqual(wantedPlatforms({ ...file, platforms: 'all' }), [hostPlatform]);
});

test('what was seen of another source says nothing of this one', () => {
  put({});
  assert.equal(is({ source: 'lxc:elsewhere/debian' }), unseen);
  put({ row: { source: '' } });
  assert.equal(is(), unseen);
});

test('what only a look writes down is compared with the entry: versions to keep, an end, a pin, labels', () => {
  put({});
  assert.equal(is({ keep: 2 }), unnoted);
  assert.equal(is({}, { keep: 2 }), unnoted);
  assert.equal(is({ expires: { after: 5 } }), unnoted);
  assert.equal(is({ pin: true }), unnoted);
  assert.equal(is({ labels: { team: 'b' } }), unnoted);
  assert.equal(is({ labels: { missing: 'a' } }), unnoted);
  const end = Math.floor(Date.now() / 1000) + 600;
  put({ row: { keep: 2, expires: end }, pinned: true });
  assert.equal(is({ keep: 2 }), settled);
  assert.equal(is({}, { keep: 2 }), settled);
  assert.equal(is({ keep: 2, pin: true, expires: { at: end } }), settled);
  assert.equal(is({ keep: 2, expires: { after: 5 } }), settled);
  assert.equal(is({ keep: 2, expires: { at: end + 1 } }), unnoted);
  assert.equal(is({ keep: 3 }, { keep: 2 }), unnoted);
});

test('time, a look that failed and a source that is gone make it due', () => {
  put({ row: { checked: Date.now() - 10 * minute } });
  assert.equal(is(), 'There Proven Settled Due stale');
  assert.equal(is({ refresh: 20 * minute }), settled);
  put({ row: { checked: Date.now() - 10 * minute, refresh: 5 * minute } });
  assert.equal(is({ refresh: undefined }), settled, 'the entry says that it is not to be asked for again');
  const failed = { at: Date.now(), code: 'E_HTTP_STATUS', problem: '' };
  put({ row: { failed } });
  assert.equal(is(), 'There Proven Settled Due stale');
  put({ row: { failed: { ...failed, sameOffer: true } } });
  assert.equal(is(), 'There Proven Settled Due fresh');
  put({ row: { failed, gone: true } });
  assert.equal(is(), 'There Proven Settled Due gone');
  put({ row: { expires: 1 } });
  assert.equal(is(), 'There Proven Settled Due expired');
  assert.equal(is({ source: 'lxc:elsewhere/debian' }), 'There Proven Due expired');
});

test('where nothing is, nothing is known', () => {
  assert.equal(is(), 'Proven Due unknown');
  assert.equal(is({ platforms: 'all' }), 'Proven Due unknown');
  const seen = [{ platform: hostPlatform, revision: '1', image: content }];
  put({ platforms: [], row: { seen } });
  assert.equal(is(), 'Proven Settled unknown');
  put({ platforms: [], row: { seen, gone: true } });
  assert.equal(is(), 'Proven Settled gone');
});
