/** ZFS: clones of a snapshot of a dataset that holds the tree. The quota is what a clone may refer to. */
import { CellarError } from '../core/errors.ts';
import { cloneZfs, createZfs, isZfsDataset, snapshotZfs, zfsExists } from '../sys/zfs.ts';
import { volumeMethod, type VolumeSpec } from './volumes.ts';

/** As LXC's deployers have it. */
const defaultDataset = 'pool/lxc';

const spec: VolumeSpec = {
  name: 'zfs',
  programs: ['zfs', 'mount.zfs'],
  open({ place, quota }) {
    const dataset = place ?? defaultDataset;
    if (!isZfsDataset(dataset))
      throw new CellarError('E_USAGE', {
        details: { problem: `--method zfs:${dataset} names no dataset` },
        hint: 'zfs:POOL or zfs:POOL/DATASET',
      });
    if (!zfsExists(dataset))
      throw new CellarError('E_BACKING_MISSING', { details: { kind: 'ZFS dataset', name: dataset } });
    return {
      backing: `zfs:${dataset}`,
      named: (name) => ({ manager: 'zfs', name: `${dataset}/${name}` }),
      create: ({ name }) => createZfs(name),
      seal: ({ name }) => snapshotZfs(name),
      copy: (base, to) => cloneZfs(base.name, to.name, { quota }),
    };
  },
};

export const zfs = volumeMethod(spec);
