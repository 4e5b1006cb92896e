/**
 * Overlay mounts (overlayfs of the kernel's Documentation), with data-only lower layers as composefs needs them.
 * Since Linux 6.7 layers go in one at a time, since 6.15 as detached mounts; before that they are one string of paths
 * with escapes.
 */
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fromText, toBytes, type ByteString } from '../core/bytes.ts';
import { openDirectory, type Descriptor } from './descriptor.ts';
import { isErrno } from './errno.ts';
import { isAtLeast, kernelVersion } from './kernel.ts';
import { cPath, cString, check, libc } from './libc.ts';
import { MOUNT_ATTR_RDONLY, attachMount, createMount, unmount, type Parameter } from './mount-api.ts';

/** A directory, or a detached mount (of `openErofs`). */
export type OverlayLayer = ByteString | Descriptor;

export interface OverlayOptions {
  /** Topmost first. The kernel wants two layers at least: this and an upper, a data layer or another of these. */
  readonly lower: readonly OverlayLayer[];
  /** Data-only layers: hidden, reached only through `redirect` xattrs of the lower ones (plain layers before Linux 6.5). */
  readonly data?: readonly ByteString[];
  /** Both for a writable mount, on one file system, `work` empty; neither for a read-only one. */
  readonly upper?: ByteString;
  readonly work?: ByteString;
  readonly target: ByteString;
  /** Over the defaults below; `undefined` takes a default away. For instance `{ verity: 'require' }`. */
  readonly options?: Readonly<Record<string, string | true | undefined>>;
  /** Shown as the source in mountinfo; default `overlay`. */
  readonly source?: ByteString;
}

/**
 * `metacopy` and `redirect_dir` are on, which data layers need. A writable mount also has `index=on` (with it off,
 * writing to one name of a hard link leaves the other names with the old content), `xino=off`, `nfs_export=off`.
 * @param kernel chooses the way; tests pass an older one than the machine's
 * @throws SysError: EPERM without privilege, EINVAL or ENODEV where the kernel cannot, EBUSY when upper or work is
 *   in use by another overlay
 */
export function mountOverlay(overlay: OverlayOptions, kernel = kernelVersion()): void {
  using shown = new DisposableStack();
  const lower = isAtLeast(kernel, 6, 15)
    ? overlay.lower
    : overlay.lower.map((layer) => (typeof layer === 'string' ? layer : attachForNow(layer, shown)));
  if (isAtLeast(kernel, 6, 7)) mountByParts({ ...overlay, lower });
  else mountByString({ ...overlay, lower });
}

function mountByParts(overlay: OverlayOptions): void {
  const { upper, work, data = [], lower } = overlay;
  using opened = new DisposableStack();
  const layer = (key: string, value: OverlayLayer): Parameter => {
    if (typeof value !== 'string') return [key, value];
    // A short plain path keeps mountinfo readable; anything else would be refused or unescaped.
    return [key, isPlain(value) ? value : procPath(opened.use(openDirectory(value)))];
  };
  const parameters: Parameter[] = [
    ['source', overlay.source ?? 'overlay'],
    ...lower.map((value) => layer('lowerdir+', value)),
    ...data.map((value) => layer('datadir+', value)),
    ...(upper === undefined || work === undefined ? [] : [layer('upperdir', upper), layer('workdir', work)]),
    ...settings(overlay),
  ];
  using mount = createMount('overlay', {
    parameters,
    attributes: upper === undefined ? MOUNT_ATTR_RDONLY : 0,
  });
  attachMount(mount, overlay.target);
}

function mountByString(overlay: OverlayOptions): void {
  const { upper, work, target, data = [] } = overlay;
  using opened = new DisposableStack();
  const byPath = (path: OverlayLayer): ByteString => String(path);
  const byDescriptor = (path: OverlayLayer): ByteString => procPath(opened.use(openDirectory(String(path))));
  const render = (name: typeof byPath, dataMark: '::' | ':'): Buffer => {
    const layers = [
      overlay.lower.map((path) => escape(name(path), /[\\:,]/g)).join(':'),
      ...data.map((path) => escape(name(path), /[\\:,]/g)),
    ];
    const words = [
      `lowerdir=${layers.join(dataMark)}`,
      ...(upper === undefined || work === undefined
        ? []
        : [`upperdir=${escape(name(upper), /[\\,]/g)}`, `workdir=${escape(name(work), /[\\,]/g)}`]),
      ...settings(overlay).map(([key, value]) => (value === true ? key : `${key}=${String(value)}`)),
    ];
    return cString(words.join(','));
  };
  // mount(2) takes one page of options; longer ones name their layers by descriptor.
  const name = render(byPath, '::').length <= pageSize ? byPath : byDescriptor;
  const attempt = (dataMark: '::' | ':'): void => {
    const source = cString(overlay.source ?? 'overlay');
    const flags = upper === undefined ? MS_RDONLY : 0;
    const words = render(name, dataMark);
    check(libc().mount(source, cPath(target), cString('overlay'), flags, words), 'mount', target);
  };
  try {
    attempt('::');
  } catch (error) {
    // Before 6.5 there are no data-only layers; as ordinary ones they show their directories, unless hidden above.
    if (data.length === 0 || !isErrno(error, 'EINVAL')) throw error;
    attempt(':');
  }
}

/** Shows a detached mount under a temporary directory until the overlay holds its own copy of it. */
function attachForNow(mount: Descriptor, shown: DisposableStack): ByteString {
  const directory = fromText(mkdtempSync(`${tmpdir()}/cellar-layer-`));
  shown.defer(() => rmdirSync(toBytes(directory)));
  attachMount(mount, directory);
  shown.defer(() => unmount(directory, { detach: true }));
  return directory;
}

function settings(overlay: OverlayOptions): Parameter[] {
  const defaults = {
    metacopy: 'on',
    redirect_dir: 'on',
    ...(overlay.upper === undefined ? {} : { index: 'on', xino: 'off', nfs_export: 'off' }),
  };
  return Object.entries({ ...defaults, ...overlay.options }).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, value] as const],
  );
}

const MS_RDONLY = 1;
const pageSize = 4096;
const longestString = 255;

function isPlain(path: ByteString): boolean {
  return path.length <= longestString && !/[\\:,]/.test(path);
}

/** The kernel follows this link to the directory itself, whatever its path is. */
function procPath(directory: Descriptor): ByteString {
  return `/proc/self/fd/${directory.fd}`;
}

function escape(path: ByteString, characters: RegExp): ByteString {
  return path.replace(characters, '\\$&');
}
