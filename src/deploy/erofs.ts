/** `erofs:PATH`: the tree with its content as an EROFS image, uncompressed. */
import { artifactTarget, newestTime, treeUuid } from './artifact.ts';
import { privateCheckout } from './private-checkout.ts';
import { runProgram } from './program.ts';

export const erofsTarget = artifactTarget({
  kind: 'erofs',
  async write({ tree, file, path }, bench) {
    await using checkout = await privateCheckout(bench, tree, 'making an EROFS image');
    await runProgram(['--quiet', '-U', treeUuid(tree, 'erofs'), file, checkout.directory], {
      ...{ program: 'mkfs.erofs', package: 'erofs-utils', why: 'it makes EROFS images' },
      ...{ subject: path, signal: bench.signal },
      // Files newer than this would be given this time, so it is the newest of theirs.
      env: { SOURCE_DATE_EPOCH: String(newestTime(bench.entries(tree))) },
    });
  },
});
