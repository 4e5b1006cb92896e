/** `cellar pull` on the command line. */
import type { PullResult } from '../../ops/pull.ts';
import { short } from '../render/facts.ts';
import { table } from '../render/table.ts';
import { formatBytes } from '../render/units.ts';
import { choice, defineVerb, list, optional, required, text, toggle } from '../spec.ts';
import { bytes, digest, labels, positive } from '../values.ts';
import { dryRun } from './common.ts';
import { httpOptions, networkOptions } from './network.ts';

export const verb = defineVerb({
  description: [
    'Asks the source what it has now, and transfers only what the store lacks. Everything is verified before the reference moves. A transfer that broke off is resumed, and processes that ask for the same thing share one transfer.',
    'Verification is the strongest that the source offers (OpenPGP signature, then checksum) and never weaker than the reference had before, unless --verify says so.',
    'An option that is left out has the value that `defaults` in cellar.yaml give it, of verification, limits and the network.',
    'When upstream cannot be reached and the store has the image, that stays in use, is shown as stale, and the exit code is 3.',
  ],
  args: [
    required('SOURCE', "What to pull: a URL or a path; 'cellar help names' lists the kinds", 'file'),
    optional('REF', 'The reference to set (default: made from the source)', 'reference'),
  ],
  options: {
    verify: choice(['strongest', 'signature', 'checksum', 'no'], 'What must be checked'),
    sha256: digest('Digest that the file must have'),
    keyring: list('FILE', 'Trust these OpenPGP keys instead of those of the store and of systemd', 'file'),
    cosignKey: text('FILE', 'Public key that must have signed an OCI image', 'file'),
    cosignTrustRoot: text('FILE', 'Root of trust (trusted_root.json) for keyless signatures', 'file'),
    cosignIdentity: text('NAME', 'Whose certificate must have signed'),
    cosignIssuer: text('URL', 'Who must have vouched for that identity'),
    platform: list('OS/ARCH', "For this platform; 'all' for every one; may be given several times"),
    refresh: toggle('Transfer and verify again even if nothing changed upstream'),
    mirror: list('URL', 'Another place with the same files; may be given several times'),
    label: labels(),
    pin: toggle('Protect the reference from removal and eviction'),
    maxSize: bytes('Refuse a tree with more content than this (default 1T)'),
    maxFiles: positive('N', 'Refuse a tree with more paths than this (default 20000000)'),
    ...networkOptions,
    dryRun,
  },
  examples: [
    {
      command: 'cellar pull https://images.example.org/debian/rootfs.tar.xz debian:13',
      does: 'a root file system, verified by what lies beside it',
    },
    { command: 'cellar pull docker://docker.io/library/nginx:1.29', does: 'an OCI image, byte for byte' },
    {
      command: 'cellar pull lxc://images.linuxcontainers.org/debian/trixie --platform linux/arm64',
      does: 'from an LXC image server',
    },
  ],
  async run({ args: [source, reference], options, context }) {
    const { pull } = await import('../../ops/pull.ts');
    const { withDefaults } = await import('../../ops/pull/defaults.ts');
    const { parsePlatforms } = await import('../platforms.ts');
    const { verify, sha256, keyring, platform, refresh, mirror, label, pin } = options;
    const { cosignKey: key, cosignTrustRoot: trustRoot, cosignIdentity: identity } = options;
    const cosign = { key, trustRoot, identity, issuer: options.cosignIssuer };
    const wanted = await withDefaults(context, {
      ...{ source, reference, verify, sha256, refresh, mirrors: mirror, labels: label, keyrings: keyring },
      ...{ maxSize: options.maxSize, maxFiles: options.maxFiles, dryRun: options.dryRun },
      platforms: parsePlatforms(platform),
      cosign: Object.values(cosign).some((given) => given !== undefined) ? cosign : undefined,
      pin: pin ? true : undefined,
      http: httpOptions(options),
    });
    const result = await pull(context, wanted);
    return {
      result: { ...result },
      lines: () => pulledLines(result),
      exitCode: result.problem === undefined ? 0 : 3,
    };
  },
});

/** A line for each image. */
function pulledLines({ reference, images, state }: PullResult): string[] {
  const rows = images.map(({ platform, change, content, verified, bytes: size }) => [
    reference,
    platform,
    change,
    verified,
    content === undefined ? '-' : short(content),
    formatBytes(size),
    state === 'fresh' || state === 'unknown' ? '' : state,
  ]);
  if (rows.length === 0) return [];
  return table(rows, {
    head: ['REFERENCE', 'PLATFORM', 'CHANGE', 'VERIFIED', 'CONTENT', 'SIZE', ''],
    right: [5],
  });
}
