/** What a product of a simplestreams server offers: its version, that version's files, and what is said about them. */
import type { Digest } from '../core/digest.ts';
import type { Platform } from '../core/platform.ts';
import { gone, nameOfUrl, urlBelow } from './location.ts';
import type { Offer, Part } from './port.ts';
import { fingerprintOf, itemsOf, type Item, type Product } from './simplestreams-schema.ts';
import { newest } from './version-order.ts';

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
  const versions = usableVersions(found).filter(
    ({ version }) => selector.version === undefined || version === selector.version,
  );
  const which = selector.version === undefined ? 'no version' : `no version ${selector.version}`;
  if (versions.length === 0) throw gone(location, `${id} has ${which} with a root file system`);
  const { version, metadata, root } = newest(versions, (one) => one.version);
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
    revision: `${making.asked} ${id}@${version} ${(root ?? metadata).sha256 ?? ''}`.trim(),
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

/** A tar goes before squashfs: it is unpacked while it arrives. A version's name begins with its date. */
function usableVersions({ product, url }: Found): Version[] {
  return Object.entries(product.versions)
    .filter(([version]) => /^\d{8}/.test(version))
    .flatMap(([version, { items }]): Version[] => {
      const [metadata] = itemsOf(items, ['incus.tar.xz', 'lxd.tar.xz'], url);
      const [root] = itemsOf(items, ['root.tar.xz', 'squashfs'], url);
      const [unified] = itemsOf(items, ['incus_combined.tar.gz', 'lxd_combined.tar.gz'], url);
      if (metadata !== undefined && root !== undefined) return [{ version, metadata, root }];
      return unified === undefined ? [] : [{ version, metadata: unified, root: undefined }];
    });
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
