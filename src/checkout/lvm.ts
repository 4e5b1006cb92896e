/**
 * LVM: thin snapshots of a thin volume that holds the tree, or plain snapshots where no pool is named, which take their
 * whole size from the group. The size of the volume is the quota.
 */
import { CellarError } from '../core/errors.ts';
import {
  createLvm,
  deactivateLvm,
  hasThinPool,
  hasVolumeGroup,
  isLvmName,
  lvmDevice,
  snapshotLvm,
} from '../sys/lvm.ts';
import { volumeFileSystems, type VolumeFs } from '../sys/volume.ts';
import { runVolumeProgram } from '../sys/volume-program.ts';
import { volumeMethod, type VolumeSpec, type Volumes } from './volumes.ts';

/** As LXC and its deployers have it. */
const defaultGroup = 'lxc';
const defaultSize = 5 * 2 ** 30;
const defaultFs: VolumeFs = 'ext4';

const spec: VolumeSpec = {
  name: 'lvm',
  programs: ['lvcreate', 'lvchange', 'lvremove', 'lvs', 'vgs'],
  open({ place, quota }) {
    const { group, pool, fs } = parsePlace(place ?? '');
    if (!hasVolumeGroup(group))
      throw new CellarError('E_BACKING_MISSING', { details: { kind: 'volume group', name: group } });
    if (pool !== undefined && !hasThinPool(group, pool))
      throw new CellarError('E_BACKING_MISSING', {
        details: { kind: 'thin pool', name: `${group}/${pool}` },
      });
    return volumesIn({ group, pool, fs, size: quota ?? defaultSize });
  },
};

export const lvm = volumeMethod(spec);

interface Place {
  readonly group: string;
  readonly pool: string | undefined;
  readonly fs: VolumeFs;
}

/** `GROUP[/POOL][,fs=TYPE]`, each of them optional. @throws E_USAGE */
function parsePlace(text: string): Place {
  const [where = '', ...settings] = text.split(',');
  const [group = '', pool, ...rest] = where.split('/');
  const fs = settings.length === 0 ? `fs=${defaultFs}` : settings.join(',');
  const known = volumeFileSystems.find((type) => fs === `fs=${type}`);
  const chosen = group === '' && pool === undefined ? defaultGroup : group;
  const valid = isLvmName(chosen) && (pool === undefined || isLvmName(pool)) && rest.length === 0;
  if (!valid || known === undefined)
    throw new CellarError('E_USAGE', {
      details: { problem: `--method lvm:${text} names no place for volumes` },
      hint: `lvm:GROUP, or lvm:GROUP/POOL for thin volumes, with ,fs=${volumeFileSystems.join('|')} if need be`,
    });
  return { group: chosen, pool, fs: known };
}

function volumesIn({ group, pool, fs, size }: Place & { readonly size: number }): Volumes {
  const thin = pool !== undefined;
  return {
    backing: `lvm:${group}${thin ? `/${pool}` : ''},fs=${fs},size=${size}`,
    named: (name) => ({ manager: 'lvm', name: `${group}/${name}`, fs }),
    create({ name }) {
      createLvm(name, { size, pool });
      const force = fs === 'xfs' ? '-f' : '-F';
      runVolumeProgram(`mkfs.${fs}`, ['-q', force, lvmDevice(name)]);
    },
    seal({ name }) {
      if (thin) deactivateLvm(name);
    },
    copy: (base, to) => snapshotLvm(base.name, to.name, { thin }),
  };
}
