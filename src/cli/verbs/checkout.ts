/** `cellar checkout` on the command line. */
import { formatElapsed } from '../render/units.ts';
import { choice, defineVerb, required, text, toggle } from '../spec.ts';
import { bytes, checkoutMethod } from '../values.ts';
import { platform, reference } from './common.ts';

export const verb = defineVerb({
  description: [
    'Read-only unless --writable is given; what is written to a writable checkout never reaches the image or another checkout. A checkout keeps its image from being collected until it is released, and comes back after a reboot with cellar mount --all.',
    'The method auto takes the best that serves here and says why the better ones did not: as root a composefs mount or reflinks, then sealed hard links or copies; without root reflinks or copies. --method asks for one, or fails.',
    'lvm and zfs come only when asked for: lvm:GROUP/POOL makes thin volumes in a pool, lvm:GROUP plain ones with plain snapshots (default group lxc), ,fs=xfs instead of ext4; zfs:DATASET clones (default pool/lxc). The first checkout of an image fills a volume; those after it are snapshots of it.',
  ],
  args: [reference(), required('DIR', 'Where: a new or an empty directory', 'directory')],
  options: {
    writable: toggle('Make it writable', 'w'),
    method: checkoutMethod(),
    quota: bytes('What it may hold in all, by methods that have quotas: btrfs, lvm, zfs'),
    subpath: text(
      'PATH',
      'Only this directory of the image; \\xNN is a byte that is no UTF-8, as files shows it',
    ),
    mtime: choice(
      ['keep', 'clamp'],
      'clamp: one time for all files, so that hard links share more (default keep)',
    ),
    verify: choice(
      ['auto', 'always', 'never'],
      'Read all objects first (default auto: those not read since they changed)',
    ),
    idmap: text('CONTAINER:HOST:LENGTH', 'Shift owners, for containers with user namespaces'),
    platform,
  },
  examples: [
    { command: 'cellar checkout debian:12 /srv/base', does: 'the image, read-only' },
    {
      command: 'cellar checkout debian:12 /srv/web1 --writable',
      does: 'as many as you like: each costs its changes',
    },
    {
      command: 'cellar checkout debian:12 /srv/web2 --writable --method lvm:vg0/thin --quota 20G',
      does: 'on a thin volume of its own',
    },
    { command: 'cellar checkout debian:12@{1} /srv/before', does: 'the version before' },
  ],
  async run({ args: [name, directory], options, context }) {
    const { checkout } = await import('../../ops/checkout.ts');
    const result = await checkout(context, { reference: name, directory, ...options });
    return {
      result: { ...result },
      lines: (style) => [
        `${result.path}  ${result.method}, ${result.writable ? 'writable' : 'read-only'}, ${formatElapsed(result.elapsedMs)}`,
        ...result.tried.map(({ method, reason }) => style.dim(`  not ${method}: ${reason}`)),
      ],
    };
  },
});
