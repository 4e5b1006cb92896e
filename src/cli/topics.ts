/** Help on what is no verb: how images are named, and what exit codes mean. */
import { hostPlatform } from '../core/platform.ts';
import { targetKinds } from '../deploy/targets.ts';
import { table } from './render/table.ts';
import { systemStore } from './store-root.ts';

export interface Topic {
  readonly name: string;
  readonly summary: string;
  /** `platform` is given where the text must not depend on the machine. */
  readonly lines: (platform?: string) => string[];
}

export const topics: readonly Topic[] = [
  { name: 'names', summary: 'References, digests, sources and targets', lines: names },
  { name: 'exit-codes', summary: 'What exit codes mean', lines: exitCodeLines },
];

function names(platform: string = hostPlatform): string[] {
  return [
    'REFERENCES',
    '',
    '  name[:tag][@sha256:digest]     a name for an image; the tag defaults to latest',
    '  host[:port]/name[:tag]         the same, with the registry it belongs to',
    '',
    '  A reference is a pointer and may move; what it pointed to before is its history.',
    '  Names are lower case: letters, digits, and . _ - / between them.',
    '',
    '  debian:12                      the image that debian:12 names now',
    '  debian:12@{1}                  the one it named before (cellar history debian:12)',
    '  debian:12@sha256:3f1c…         the same, and only if it still is this image or this tree',
    '  3f1c09ab                       any image by the first 8 or more digits of its digest',
    '                                 (that of its record, or of its tree)',
    '',
    '  One reference holds one image for each platform (os/arch[/variant]). Where several are there,',
    `  --platform chooses; else this machine's (${platform}), else the only one.`,
    '',
    'SOURCES   what import and pull read',
    '',
    '  path/to/rootfs.tar[.gz|.xz|.zst|.bz2|.lz4]   an archive; its packing is told by its content',
    '  path/to/directory                            a tree; mount points in it are not entered',
    '  -                                            an archive on standard input (import)',
    '',
    '  and pull besides:',
    '',
    '  https://host/path/rootfs.tar.xz              an archive or, by its suffix, any other file;',
    '                                               tar+https:, squashfs+https:, file+https: say which',
    '  docker://[host[:port]/]name[:tag|@digest]    an OCI image in a registry',
    '  docker-archive:FILE[:NAME:TAG]  oci-archive:FILE[:NAME]  oci:DIR[:NAME]   the same on disk',
    '  lxc://host/dist/release[/arch[/variant]]     an LXC image server',
    '  simplestreams:https://host/path#ALIAS        an Incus or LXD image server',
    '  latest:https://host/dir/?REGEX               the newest file that SHA256SUMS lists there',
    '  morph:http://host:8080#FILENAME              a morph artifact cache',
    '',
    'DESTINATIONS   where checkout and export write',
    '',
    '  path/to/directory     made if it is not there; an existing one must be empty',
    '  path/to/file.tar.zst  an archive, in the format of its suffix',
    '  -                     standard output',
    '',
    'TARGETS   where deploy puts a version in service',
    '',
    ...table(targetKinds.map(({ kind, summary }) => [`  ${kind}:…`, summary])),
    '',
    'STORES',
    '',
    '  --store DIR, else $CELLAR_STORE, else the default:',
    `  ${systemStore} for root, $XDG_DATA_HOME/cellar (~/.local/share/cellar) for others`,
  ];
}

export const exitCodes: readonly (readonly [code: number, meaning: string])[] = [
  [0, 'Done'],
  [1, 'Failed for any other reason'],
  [2, 'The command was wrong: an unknown flag, a missing argument, a name that is none'],
  [3, 'Done in part: some items failed, or what was asked for is stale'],
  [4, 'Authentication failed'],
  [5, 'What came in is not what was wanted: checksum or signature'],
  [10, 'Not found'],
  [11, 'Locked or in use by somebody else'],
  [12, 'What the store holds is damaged'],
  [13, 'No space left, or the quota is used up'],
  [130, 'Cancelled'],
];

function exitCodeLines(): string[] {
  return table(
    exitCodes.map(([code, meaning]) => [String(code), meaning]),
    { right: [0] },
  );
}
