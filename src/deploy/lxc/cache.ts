/**
 * `lxc-cache:DISTRIBUTION/RELEASE/ARCH/VARIANT`: what `lxc-create -t download` takes instead of asking a server. The
 * whole entry is one directory that is staged, synced and switched, so there is never no cache and never half a one;
 * its files are told from damaged ones by the sizes that were written down.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { jsonDigest } from '../../core/canonical-json.ts';
import { fromText } from '../../core/bytes.ts';
import type { Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import { platformOfArch } from '../../source/debian-arch.ts';
import { fsyncDir, writeFileAtomic } from '../../sys/atomic.ts';
import { compress, levelOf } from '../../tree/compress/compress.ts';
import { writeChunks } from '../write-chunks.ts';
import { readText } from './host.ts';
import { lxcMetadata, type LxcMetadata } from './metadata.ts';
import type { Target, TargetDriver, TargetOptions, Version, Workbench } from '../port.ts';
import { requireTree } from '../version-kind.ts';
import { versionedPath } from '../path/versioned-path.ts';

export const lxcCacheTarget: TargetDriver = {
  open: openCache,
};

/** The quickest: the cache stays on this machine, and is unpacked for every container. */
const usualLevel = 0;
const day = 86_400;
const usualDays = 365;

interface Entry {
  readonly distribution: string;
  /** As Debian or the kernel names it. */
  readonly arch: string;
  readonly path: string;
  readonly name: string;
}

/** Beside the files of a version: how to tell that it is whole, and when it wants to be made again. */
interface Written {
  readonly sizes: Readonly<Record<string, number>>;
  /** Seconds since the epoch. */
  readonly renew: number;
}

function openCache(rest: string, options: TargetOptions): Target {
  const entry = parseEntry(rest);
  const { path, name } = entry;
  const versions = versionedPath(path, { force: options.force });
  return {
    name,
    path,
    writable: false,
    async look() {
      const found = versions.look();
      const stale = found.active !== undefined && !isWhole(versions.place(found.active));
      return { ...found, users: [], ...(stale ? { stale } : {}) };
    },
    async stage(version, bench) {
      versions.prepare();
      refuseOtherArch(entry, version);
      await stageEntry(version, { entry, place: versions.place(version.id), options }, bench);
      return {};
    },
    activate: async (id) => versions.activate(id),
    deactivate: async () => versions.deactivate(),
    tidy: () => versions.tidy(),
    async discard(id) {
      const place = versions.place(id);
      for (const path of [`${place}.partial`, place]) rmSync(path, { recursive: true, force: true });
      for (const suffix of ['written', 'json']) rmSync(`${place}.${suffix}`, { force: true });
    },
  };
}

/** @throws E_TARGET_INVALID */
function parseEntry(rest: string): Entry {
  const parts = rest.split('/');
  const [distribution = '', , arch = ''] = parts;
  const isName = (part: string): boolean => /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(part);
  if (parts.length !== 4 || !parts.every(isName))
    throw new CellarError('E_TARGET_INVALID', {
      details: { target: `lxc-cache:${rest}`, problem: 'write DISTRIBUTION/RELEASE/ARCH/VARIANT' },
    });
  const base = process.env['LXC_CACHE_PATH'] ?? '/var/cache/lxc';
  return { distribution, arch, path: join(base, 'download', ...parts), name: `lxc-cache:${rest}` };
}

/** A name must not claim what the image is not. @throws E_TARGET_INVALID */
function refuseOtherArch({ arch, name }: Entry, { record, reference }: Version): void {
  if (platformOfArch(arch) === record.platform) return;
  throw new CellarError('E_TARGET_INVALID', {
    details: { target: name, problem: `${reference} is for ${record.platform}` },
  });
}

interface Place {
  readonly entry: Entry;
  readonly place: string;
  readonly options: TargetOptions;
}

async function stageEntry(
  version: Version,
  { entry, place, options }: Place,
  bench: Workbench,
): Promise<void> {
  const tree = requireTree(version, entry.name);
  const days = daysOf(version.parameters);
  const metadata = await lxcMetadata(version, bench);
  const level = levelOf('xz', options.level ?? usualLevel);
  const partial = `${place}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { mode: 0o755 });
  const now = Math.floor(Date.now() / 1000);
  const small = new Map(metadata ?? ownMetadata(entry));
  // LXC compares it as a number with the clock, and any text that is none lasts for ever.
  small.set('expiry', Buffer.from(`${now + days * day}\n`));
  small.set('build_id', Buffer.from(`${buildId(tree, version)}\n`));
  for (const [name, bytes] of small) writeFileAtomic(fromText(join(partial, name)), bytes, { mode: 0o644 });
  const archive = join(partial, 'rootfs.tar.xz');
  await writeChunks(archive, compress(bench.tar(tree), 'xz', { level, signal: bench.signal }), 0o644);
  await syncFile(archive);
  fsyncDir(fromText(partial));
  const written: Written = { sizes: sizesIn(partial), renew: now + Math.floor((days * day) / 2) };
  writeFileAtomic(fromText(`${place}.written`), JSON.stringify(written));
  writeFileAtomic(fromText(`${place}.json`), version.deploymentRecord);
  renameSync(partial, place);
  fsyncDir(fromText(dirname(place)));
}

/** @throws E_USAGE */
function daysOf(parameters: Readonly<Record<string, string>>): number {
  const text = parameters['expiry-days'] ?? String(usualDays);
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new CellarError('E_USAGE', {
    details: { problem: `--set expiry-days=${text} is not a whole number of days` },
  });
}

/** The same tree with the same metadata has the same; LXC takes an entry with another for a new build. */
function buildId(tree: Digest, { record }: Version): string {
  return jsonDigest({ tree, attachments: record.attachments ?? {} }).slice(0, 32);
}

/** For an image that brought none: what every distribution's begins with. */
function ownMetadata({ distribution, arch }: Entry): LxcMetadata {
  const common = `lxc.arch = ${arch}\n`;
  return new Map(
    Object.entries({
      config: `lxc.include = LXC_TEMPLATE_CONFIG/common.conf\n${common}`,
      'config-user': `lxc.include = LXC_TEMPLATE_CONFIG/common.conf\nlxc.include = LXC_TEMPLATE_CONFIG/userns.conf\n${common}`,
      templates: '/etc/hostname\n/etc/hosts\n',
      'create-message': `A container of ${distribution} for ${arch}, deployed by cellar.\n`,
    }).map(([name, text]) => [name, Buffer.from(text)]),
  );
}

function isWhole(place: string): boolean {
  const text = readText(`${place}.written`);
  if (text === undefined) return false;
  const { sizes, renew } = JSON.parse(text) as Written;
  if (Date.now() / 1000 > renew) return false;
  return Object.entries(sizes).every(
    ([name, size]) => statSync(join(place, name), { throwIfNoEntry: false })?.size === size,
  );
}

async function syncFile(file: string): Promise<void> {
  await using handle = await open(file, 'r');
  await handle.sync();
}

function sizesIn(directory: string): Record<string, number> {
  return Object.fromEntries(
    readdirSync(directory).map((name) => [name, statSync(join(directory, name)).size]),
  );
}
