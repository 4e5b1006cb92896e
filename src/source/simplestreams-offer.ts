/** What a product of a simplestreams server offers: its version, that version's files, and what is said about them. */
import type { Digest } from '../core/digest.ts';
import type { Platform } from '../core/platform.ts';
import { gone, nameOfUrl, urlBelow } from './location.ts';
import type { Offer, Part } from './port.ts';
import { fingerprintOf, itemOf, parseItems, type Item, type Product } from './simplestreams-schema.ts';
import { compareVersions } from './version-order.ts';

export interface Selector {
  /** Alias or name of a product. */
  readonly name: string;
  /** Only this one; else the newest. */
  readonly version?: string;
}

/** A product that is meant, with the URL of the file it was read from. */
export interface Found {
  readonly id: string;
  readonly platform: Platform;
  readonly product: Product;
  readonly url: string;
}

interface Version {
  readonly version: string;
  readonly metadata: Item;
  /** Without it the metadata's archive holds the root too. */
  readonly root: Item | undefined;
}

interface Making {
  readonly location: string;
  /** The selector as a user wrote it. */
  readonly asked: string;
  readonly selector: Selector;
  readonly servers: readonly URL[];
}

/** The newest version that can be a tree, or the one asked for. @throws E_SOURCE_GONE, E_HTTP_BODY */
export function offerOf(found: Found, making: Making): Offer {
  const { location, selector } = making;
  const { id, platform, product, url } = found;
  const usable = usableVersion(found, selector);
  const which = selector.version === undefined ? 'no version' : `no version ${selector.version}`;
  if (usable === undefined) throw gone(location, `${id} has ${which} with a root file system`);
  const { version, metadata, root } = usable;
  const part = (item: Item, rest: Pick<Part, 'role'> & Partial<Part>): Part => {
    const urls = making.servers.map((server) => urlBelow(server, item.path, url));
    return {
      name: nameOfUrl(new URL(urls[0]!)),
      ...(item.size === undefined ? {} : { size: item.size }),
      ...(item.sha256 === undefined ? {} : { sha256: item.sha256 }),
      from: { type: 'http', urls },
      ...rest,
    };
  };
  const expires = endOf(product.support_eol);
  return {
    platform,
    kind: 'tree',
    revision: [making.asked, `${id}@${version}`, root?.sha256, metadata.sha256]
      .filter((piece) => piece !== undefined)
      .join(' '),
    labels: labelsOf(found, version, fingerprintOf(metadata, root)),
    ...(expires === undefined ? {} : { expires }),
    parts:
      root === undefined
        ? [part(metadata, { role: 'content', format: 'tar', subpath: 'rootfs' })]
        : [
            part(root, { role: 'content', format: root.ftype === 'squashfs' ? 'squashfs' : 'tar' }),
            part(metadata, { role: 'attachment', name: 'incus-metadata.tar.xz' }),
          ],
  };
}

/**
 * The first from the newest on that has what a tree needs; older ones are not looked at. A tar goes before squashfs: it
 * is unpacked while it arrives.
 */
function usableVersion({ product, url }: Found, selector: Selector): Version | undefined {
  const names = Object.keys(product.versions)
    .filter((name) => isDated(name) && (selector.version ?? name) === name)
    .toSorted((a, b) => compareVersions(b, a));
  for (const version of names) {
    const items = parseItems(product.versions[version], url);
    const metadata = itemOf(items, ['incus.tar.xz', 'lxd.tar.xz'], url);
    const root = itemOf(items, ['root.tar.xz', 'squashfs'], url);
    if (metadata !== undefined && root !== undefined) return { version, metadata, root };
    const unified = itemOf(items, ['incus_combined.tar.gz', 'lxd_combined.tar.gz'], url);
    if (unified !== undefined) return { version, metadata: unified, root: undefined };
  }
  return undefined;
}

/** A version's name begins with a day; what has another name is none, for Incus and LXD too. */
function isDated(name: string): boolean {
  const [, year, month, day] = /^(\d{4})(\d{2})(\d{2})/.exec(name) ?? [];
  const time = new Date(`${year}-${month}-${day}T00:00:00Z`);
  // The 31st of a month that has no such day would be the first of the next.
  return !Number.isNaN(time.getTime()) && time.getUTCDate() === Number(day);
}

function labelsOf(
  { id, product }: Found,
  version: string,
  fingerprint: Digest | undefined,
): Record<string, string> {
  const labels = {
    'org.linuxcontainers.product': id,
    'org.linuxcontainers.distribution': product.os,
    'org.linuxcontainers.release': product.release,
    'org.linuxcontainers.architecture': product.arch,
    'org.linuxcontainers.variant': product.variant,
    'org.linuxcontainers.build': version,
    'org.linuxcontainers.fingerprint': fingerprint,
  };
  return Object.fromEntries(
    Object.entries(labels).filter((label): label is [string, string] => Boolean(label[1])),
  );
}

/** `2027-06-30` → the beginning of that day. */
function endOf(day: string | undefined): number | undefined {
  const time = /^\d{4}-\d{2}-\d{2}$/.test(day ?? '') ? Date.parse(`${day}T00:00:00Z`) : Number.NaN;
  return Number.isNaN(time) ? undefined : time / 1000;
}
