/** What a small image server for Incus and LXD publishes: one product, in the forms that tests want. */

const digits = (text: string): string => text.repeat(64);

/** Digests of the files of `productsOf`, which exist in name only. */
export const digests = {
  metadata: digits('a'),
  root: digits('b'),
  squashfs: digits('c'),
  unified: digits('d'),
};

const metadata = {
  path: 'images/x/incus.tar.xz',
  sha256: digests.metadata,
  size: 900,
  combined_rootxz_sha256: digits('e'),
  combined_squashfs_sha256: digits('f'),
};

export const items = {
  'incus.tar.xz': { ftype: 'incus.tar.xz', ...metadata },
  'lxd.tar.xz': { ftype: 'lxd.tar.xz', ...metadata },
  'root.tar.xz': { ftype: 'root.tar.xz', path: 'images/x/root.tar.xz', sha256: digests.root, size: 9000 },
  'root.squashfs': {
    ftype: 'squashfs',
    path: 'images/x/root.squashfs',
    sha256: digests.squashfs,
    size: 9900,
  },
  'lxd_combined.tar.gz': {
    ftype: 'lxd_combined.tar.gz',
    path: 'images/x/lxd_combined.tar.gz',
    sha256: digests.unified,
    size: 8000,
  },
  'disk.qcow2': { ftype: 'disk-kvm.img', path: 'images/x/disk.qcow2', sha256: digits('0'), size: 1 },
};

export function streamsIndex(entries: Record<string, unknown> = {}): object {
  const images = {
    datatype: 'image-downloads',
    path: 'streams/v1/images.json',
    format: 'products:1.0',
    products: ['debian:trixie:default:arm64'],
  };
  return { format: 'index:1.0', index: { images, ...entries } };
}

export interface ProductOptions {
  readonly arch: string;
  readonly version?: string;
  readonly versions?: Readonly<Record<string, readonly (keyof typeof items)[]>>;
  readonly more?: Readonly<Record<string, unknown>>;
}

export function productsOf({ arch, version = '20260101', versions, more = {} }: ProductOptions): object {
  const all = versions ?? { [version]: ['incus.tar.xz', 'root.tar.xz', 'root.squashfs', 'disk.qcow2'] };
  const product = {
    aliases: 'debian/13, debian/trixie',
    arch,
    os: 'Debian',
    release: 'trixie',
    variant: 'default',
    support_eol: '2030-06-30',
    versions: Object.fromEntries(
      Object.entries(all).map(([name, names]) => [
        name,
        { items: Object.fromEntries(names.map((item) => [item, items[item]])) },
      ]),
    ),
  };
  return {
    format: 'products:1.0',
    content_id: 'images',
    products: { [`debian:trixie:default:${arch}`]: product, ...more },
  };
}
