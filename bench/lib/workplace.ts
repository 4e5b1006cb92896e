/** Where a benchmark works, and the steps that most of them share; shell text, as measure.ts takes it. */
import { lab, shell, tarKeep, type Contender } from './measure.ts';

export interface Workplace {
  /** A directory of the benchmark's own; whatever is there is in the way. */
  readonly work: string;
  /** `cellar` on the store in it. */
  readonly store: string;
  /** An empty `work` with these directories in it, and these archives in the page cache. */
  emptied(content: { directories?: readonly string[]; archives?: readonly string[] }): string;
  /** Imports an archive into a store made for it. */
  firstImport(archive: string): Contender;
  /** A checkout of `base` with these flags, which is gone again afterwards. */
  checkout(flags: string): Contender;
  /** Takes away all that is in `work`. */
  clear(): void;
}

/** On one of the lab's file systems, or below `BENCH_WORK`. */
export function workplace(filesystem: 'ext4' | 'xfs' = 'ext4'): Workplace {
  const work = `${process.env['BENCH_WORK'] ?? `${lab}/mnt/${filesystem}`}/bench`;
  const store = `"$CELLAR" --store ${work}/store`;
  const emptied: Workplace['emptied'] = ({ directories = [], archives = [] }) =>
    [
      `rm -rf ${work}; mkdir ${work}`,
      ...directories.map((name) => `mkdir ${work}/${name}`),
      ...archives.map((archive) => `cat ${archive} >/dev/null`),
    ].join('; ');
  return {
    work,
    store,
    emptied,
    firstImport: (archive) => ({
      name: 'cellar import',
      prepare: emptied({ archives: [archive] }),
      command: `exec ${store} import ${archive} base`,
    }),
    checkout: (flags) => ({
      name: 'cellar checkout',
      command: `exec ${store} checkout ${flags} base ${work}/c`,
      after: `${store} release ${work}/c; rm -rf ${work}/c`,
    }),
    clear: () => void shell(`rm -rf ${work}`),
  };
}

/**
 * The base image, in the store as `base` and unpacked in `x` for the peer; both in the page cache, where an import leaves
 * small files only.
 */
export function storeAndUnpack({ work, store, emptied }: Workplace): void {
  const archive = `${lab}/tars/base-v1.tar`;
  shell(`${emptied({ directories: ['x'] })}; ${store} import ${archive} base
    tar -C ${work}/x ${tarKeep} -xpf ${archive}
    find ${work}/store/objects -type f -exec cat {} + >/dev/null`);
}
