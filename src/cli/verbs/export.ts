/** `cellar export` on the command line. */
import { readPassphrase } from '../passphrase.ts';
import { formatBytes, formatElapsed } from '../render/units.ts';
import { choice, defineVerb, required, text, toggle } from '../spec.ts';
import { number } from '../values.ts';
import { dryRun, platform } from './common.ts';

export const verb = defineVerb({
  description: [
    'The same tree gives the same bytes, on every machine and at any time. Nothing is lost that GNU tar can hold; every object is hashed as it is read, and a damaged one ends the export with an error.',
    'As oci (a layout in a directory), oci-archive or docker-archive an image that was pulled as such goes out byte for byte; a tree becomes an image of one layer.',
    'With --sums the SHA-256 of the archive goes into SHA256SUMS beside it, and its SHA-1 into a file of its own (debian.checksum for debian.tar.zst).',
    '--sign writes them, too, and signs all of SHA256SUMS, as SHA256SUMS.gpg and SHA256SUMS.asc: others, systemd among them, can then pull with a signature (--verify=signature). The passphrase of a key comes from CELLAR_KEY_PASSPHRASE or --passphrase-file.',
  ],
  args: [
    required(
      'REF',
      'The image: a reference, a digest or a target (cellar help names)',
      'reference-or-target',
    ),
    required('DEST', 'The file to write (of oci, the directory), or - for standard output', 'file'),
  ],
  options: {
    format: choice(
      ['tar', 'tar.gz', 'tar.xz', 'tar.zst', 'oci', 'oci-archive', 'docker-archive'],
      'Else by the suffix of DEST (.oci.tar, .docker.tar), else tar',
    ),
    level: number('N', 'How hard to compress (default: 6 for gz and xz, 3 for zst)'),
    sums: toggle('Write SHA256SUMS and a .checksum file too'),
    sign: text('KEY', "Sign the sums with a key of 'cellar keys', or a file with a secret key", 'signer'),
    passphraseFile: text('FILE', 'File with the passphrase of that key', 'file'),
    platform,
    dryRun,
  },
  examples: [
    { command: 'cellar export debian:12 debian-12.tar.zst --sums', does: 'an archive and its sums' },
    {
      command: 'cellar export debian:12 /srv/www/debian-12.tar.zst --sign ops@example.org',
      does: 'for others to pull with --verify=signature',
    },
    { command: 'cellar export debian:12 - | tar -C /mnt -x', does: 'straight into another program' },
    { command: 'cellar export debian:12 debian.docker.tar', does: 'for docker load, podman load, skopeo' },
    { command: 'cellar export machine:web1 web1.tar.zst', does: 'a container as it is, running or not' },
  ],
  streams: ([, destination]) => destination === '-',
  async run({ args: [name, destination], options, context }) {
    const { exportImage } = await import('../../ops/export.ts');
    const { passphraseFile, ...rest } = options;
    const passphrase = options.sign === undefined ? undefined : readPassphrase(passphraseFile);
    const result = await exportImage(context, { reference: name, destination, passphrase, ...rest });
    const done = `${formatBytes(result.bytes)} in ${formatElapsed(result.elapsedMs)}`;
    const lines = (): string[] => [
      `${destination}  ${options.dryRun ? `would be written as ${result.format}` : done}`,
      ...(result.sha256 === undefined ? [] : [`sha256  ${result.sha256}`]),
      ...(result.signer === undefined ? [] : [`signed  ${result.signer}`]),
    ];
    return destination === '-' ? { result: { ...result } } : { result: { ...result }, lines };
  },
});
