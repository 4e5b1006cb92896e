/** `cellar import` on the command line. */
import { storedLines } from '../render/facts.ts';
import { defineVerb, list, required, text, toggle } from '../spec.ts';
import { bytes, digest, labels, positive } from '../values.ts';
import { dryRun, newReference } from './common.ts';

export const verb = defineVerb({
  description: [
    'Reads an archive or a directory, keeps each content once, and makes REF name the result. Every byte is hashed, and the reference is written last: it never names what could be lost.',
    'Archives are tar (ustar, pax, GNU), plain or packed with gzip, xz, zstd, bzip2 or lz4, told by their content; one that has not changed since it was last imported is not read again. A directory is read as it is, without what is mounted in it.',
  ],
  args: [required('SRC', 'A tar file, a directory, or - for standard input', 'file'), newReference()],
  options: {
    sha256: digest('Refuse the archive unless it has this SHA-256'),
    label: labels(),
    platform: text('OS/ARCH', 'The platform the image is for (default: this machine)'),
    exclude: list('GLOB', 'Leave out matching paths; may be given several times'),
    maxSize: bytes('Refuse more than this many bytes of content (default 1T)'),
    maxFiles: positive('COUNT', 'Refuse more than this many entries (default 20000000)'),
    reread: toggle('Read the archive even if it has not changed since it was imported'),
    dryRun,
  },
  examples: [
    { command: 'cellar import rootfs.tar.zst debian:12', does: 'store an archive under a name' },
    {
      command: "cellar import /srv/build/root app:1.4 --exclude '/var/cache/*' --label commit=3f1c09a",
      does: 'store a directory, without its caches',
    },
    {
      command: 'curl -sf https://example.org/root.tar.xz | cellar import - base:1',
      does: 'store what another program writes',
    },
  ],
  async run({ args: [source, reference], options: { label, ...options }, context }) {
    const { importImage } = await import('../../ops/import.ts');
    const result = await importImage(context, { source, reference, labels: label, ...options });
    return { result: { ...result }, lines: () => storedLines(result) };
  },
});
