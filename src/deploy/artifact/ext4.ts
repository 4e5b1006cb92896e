/** `ext4:PATH`: the tree as an ext4 file system in a file. */
import { artifactTarget } from './artifact.ts';
import { makeExt4 } from './make-ext4.ts';

export const ext4Target = artifactTarget({
  kind: 'ext4',
  write: async (artifact, bench) => void (await makeExt4(artifact, bench, { features: 'usual', offset: 0 })),
});
