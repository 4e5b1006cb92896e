/**
 * Image servers for `lxc-create -t download`: an index of lines `distribution;release;arch;variant;build;path`, and
 * for each a directory with rootfs.tar.xz and meta.tar.xz. All four fields match exactly: `default` is not
 * `default-beta.1`.
 *
 *   lxc://host[:port][/prefix]/DISTRIBUTION/RELEASE[/ARCH[/VARIANT]]      lxc+http://… without TLS
 *
 * Revision: the line of the index, whose fifth field is the serial of the build.
 */
import { CellarError } from '../core/errors.ts';
import { canonicalPlatform, type Platform } from '../core/platform.ts';
import { firstToAnswer, isUnchanged, knownOf, offered, validatorsOf, type Validators } from './ask.ts';
import { platformOfArch } from './debian-arch.ts';
import { gone, invalid, junk, parseBases, urlBelow } from './location.ts';
import type { Driver, Offer, Part, Query, Seen, Source, SourceOptions, Surroundings } from './port.ts';
import { newest } from './version-order.ts';

export const lxcIndexDriver: Driver = {
  name: 'lxc',
  open: openLxc,
};

export interface LxcSelector {
  readonly distribution: string;
  readonly release: string;
  /** As Debian names it; without it the platform asked for decides. */
  readonly arch?: string;
  readonly variant: string;
}

export interface LxcRow {
  readonly line: string;
  readonly distribution: string;
  readonly release: string;
  readonly arch: string;
  readonly variant: string;
  readonly build: string;
  readonly path: string;
}

/**
 * The server a location names, and the image. The last part but one, or else the last, is ARCH when it is the name of
 * an architecture; what is before the fields of the image belongs to the server.
 * @throws E_SOURCE_INVALID
 */
export function parseLxcLocation(location: string): { server: string; selector: LxcSelector } {
  const [, plain, rest] = /^lxc(?:\+(https?))?:\/\/(.+)$/i.exec(location) ?? [];
  const [host, ...names] = (rest ?? '').split('/').filter((name) => name !== '');
  if (host === undefined) throw invalid(location, 'write lxc://HOST/DISTRIBUTION/RELEASE[/ARCH[/VARIANT]]');
  const taken = [names.at(-2), names.at(-1)].findIndex((name) => name !== undefined && platformOfArch(name));
  const fields = taken === 0 && names.length >= 4 ? 4 : taken === 1 && names.length >= 3 ? 3 : 2;
  const [distribution, release, arch, variant] = names.slice(-fields);
  if (distribution === undefined || release === undefined)
    throw invalid(location, 'write lxc://HOST/DISTRIBUTION/RELEASE[/ARCH[/VARIANT]]');
  const prefix = names.slice(0, -fields).map((name) => `/${name}`);
  return {
    server: `${plain ?? 'https'}://${host}${prefix.join('')}`,
    selector: {
      distribution,
      release,
      variant: variant ?? 'default',
      ...(arch === undefined ? {} : { arch }),
    },
  };
}

/** @throws E_HTTP_BODY when it is no such index; `url` is for the message */
export function parseLxcIndex(text: string, url: string): LxcRow[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.length === 0) throw junk(url, 'the index is empty');
  return lines.map((line) => {
    if (line.length > longestLine) throw junk(url, `one of its lines has ${line.length} characters`);
    const [distribution, release, arch, variant, build, path] = line.trim().split(';');
    if (!distribution || !release || !arch || !variant || !build || !path || /\p{Cc}/u.test(line.trim()))
      throw junk(url, `${JSON.stringify(line.slice(0, 80))} is no line of an image index`);
    return { line: line.trim(), distribution, release, arch, variant, build, path };
  });
}

/** A line is remembered, and its fields become labels. */
const longestLine = 1000;

interface Index {
  /** `undefined` when it still is as it was known. */
  readonly rows: readonly LxcRow[] | undefined;
  readonly url: string;
  readonly validators: Validators;
}

/** The suffix is the level of compatibility that clients ask for first. */
const indexPaths = ['meta/1.0/index-system.7', 'meta/1.0/index-system'];
const indexLimit = 8 << 20;

function openLxc(location: string, { mirrors }: SourceOptions): Source {
  const { server, selector } = parseLxcLocation(location);
  const servers = parseBases([server, ...mirrors], location);
  return {
    origin: servers[0]!.origin,
    async look(query, surroundings) {
      const known = knownOfAll(query, selector);
      const { answer, place, others } = await firstToAnswer(servers, location, (base) =>
        readIndex(base, known, surroundings),
      );
      if (answer === undefined) throw gone(location, 'the server has no image index');
      if (answer.rows === undefined) return known.map(unchanged);
      const asked = choose(answer.rows, { location, selector }, query.platforms);
      return asked.map(([platform, row]) => {
        const parts = partsOf(row, [place, ...others], answer.url);
        const labels = labelsOf(row);
        const offer: Offer = {
          platform,
          revision: row.line,
          ...answer.validators,
          kind: 'tree',
          parts,
          labels,
        };
        return offered(offer, knownOf(query, platform));
      });
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** What is known of all platforms asked for, if it is: only then can an unchanged index answer for them. */
function knownOfAll(query: Query, selector: LxcSelector): Seen[] {
  if (query.platforms === 'all') return [];
  const known = query.platforms.map((platform) => knownOf(query, platform));
  const isOurs = (seen: Seen | undefined): seen is Seen => {
    const [distribution = '', release = '', arch = '', variant = ''] = seen?.revision.split(';') ?? [];
    return selects(selector, { distribution, release, arch, variant });
  };
  return known.every(isOurs) ? known : [];
}

function selects(
  selector: LxcSelector,
  row: Pick<LxcRow, 'distribution' | 'release' | 'arch' | 'variant'>,
): boolean {
  return (
    row.distribution === selector.distribution &&
    row.release === selector.release &&
    row.variant === selector.variant &&
    (selector.arch === undefined || platformOfArch(row.arch) === platformOfArch(selector.arch))
  );
}

async function readIndex(
  base: URL,
  known: readonly Seen[],
  surroundings: Surroundings,
): Promise<Index | undefined> {
  for (const path of indexPaths) {
    const url = urlBelow(base, path, base.href);
    if (await isUnchanged(url, known, surroundings)) return { rows: undefined, url, validators: {} };
    const { client, signal } = surroundings;
    const answer = await client.small(url, { limit: indexLimit, signal });
    if (answer === undefined) continue;
    const rows = parseLxcIndex(answer.bytes.toString(), url);
    return { rows, url, validators: validatorsOf(answer.headers) };
  }
  return undefined;
}

function unchanged(seen: Seen): Offer {
  return { ...seen, kind: 'tree', unchanged: true, parts: [], labels: {} };
}

/** The newest build for each platform asked for. */
function choose(
  rows: readonly LxcRow[],
  { location, selector }: { location: string; selector: LxcSelector },
  platforms: Query['platforms'],
): (readonly [Platform, LxcRow])[] {
  const { distribution, release, arch, variant } = selector;
  const selected = rows.filter((row) => selects(selector, row));
  const builds = Map.groupBy(selected, (row) => platformOfArch(row.arch));
  builds.delete(undefined);
  const found = [...builds].map(([platform, some]) => [platform!, newest(some, (row) => row.build)] as const);
  if (found.length === 0)
    throw gone(
      location,
      `the index lists no ${[distribution, release, arch, variant].filter(Boolean).join('/')}`,
    );
  if (platforms === 'all') return found;
  return platforms.map((platform) => {
    const row = found.find(([other]) => other === canonicalPlatform(platform))?.[1];
    if (row !== undefined) return [platform, row];
    const available = found.map(([other]) => other).join(', ');
    throw new CellarError('E_PLATFORM_UNAVAILABLE', { details: { source: location, platform, available } });
  });
}

function partsOf(row: LxcRow, servers: readonly URL[], index: string): Part[] {
  const from = (name: string): Part['from'] => ({
    type: 'http',
    urls: servers.map((server) => urlBelow(server, `${row.path}/${name}`, index)),
  });
  return [
    { role: 'content', name: 'rootfs.tar.xz', format: 'tar', from: from('rootfs.tar.xz') },
    { role: 'attachment', name: 'lxc-meta.tar.xz', from: from('meta.tar.xz') },
  ];
}

function labelsOf(row: LxcRow): Record<string, string> {
  return {
    'org.linuxcontainers.distribution': row.distribution,
    'org.linuxcontainers.release': row.release,
    'org.linuxcontainers.architecture': row.arch,
    'org.linuxcontainers.variant': row.variant,
    'org.linuxcontainers.build': row.build,
  };
}
