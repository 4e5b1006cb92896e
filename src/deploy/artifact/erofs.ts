/** `erofs:PATH`: the tree with its content as an EROFS image, uncompressed. */
import { artifactTarget, newestTime, treeUuid, warnOfLoss } from './artifact.ts';
import { privateCheckout } from './private-checkout.ts';
import { runProgram } from '../program.ts';

export const erofsTarget = artifactTarget({
  kind: 'erofs',
  async write({ tree, file, path }, bench) {
    const entries = bench.entries(tree);
    // It reads their times as if they were far in the future, and gives them the newest.
    warnOfLoss(bench, 'erofs', { 'times before 1970': entries.filter(({ mtime }) => mtime < 0).length });
    await using checkout = await privateCheckout(bench, tree, 'making an EROFS image');
    await runProgram(['--quiet', '-U', treeUuid(tree, 'erofs'), file, checkout.directory], {
      ...{ program: 'mkfs.erofs', package: 'erofs-utils', why: 'it makes EROFS images' },
      ...{ subject: path, signal: bench.signal },
      // Files newer than this would be given this time, so it is the newest of theirs.
      env: { SOURCE_DATE_EPOCH: String(newestTime(entries)) },
    });
  },
});
