/** `squashfs:PATH`: the tree as a squashfs image, made from its archive without unpacking it. */
import { aclNames } from '../../tree/tar/acl.ts';
import { artifactTarget, newestTime, warnOfLoss } from './artifact.ts';
import { runProgram } from '../program.ts';

const latest = 0xffff_ffff;

/** tar2sqfs leaves others out in silence, and keeps `%` and `=` in the escaped form that they have in an archive. */
const isHeld = /^(?:user|trusted|security)\.[^%=]*$/;
const held = "user.*, trusted.* and security.* without '%' and '='";

export const squashfsTarget = artifactTarget({
  kind: 'squashfs',
  async write({ tree, file, path }, bench) {
    const entries = bench.entries(tree);
    const acls: readonly string[] = Object.values(aclNames);
    warnOfLoss(bench, 'squashfs', {
      'access control lists': entries.filter(({ xattrs }) => xattrs.some(([name]) => acls.includes(name)))
        .length,
      [`extended attributes of other names than ${held}`]: entries.filter(({ xattrs }) =>
        xattrs.some(([name]) => !acls.includes(name) && !isHeld.test(name)),
      ).length,
      sockets: entries.filter(({ type }) => type === 'socket').length,
      'times before 1970 or after 2106': entries.filter(({ mtime }) => mtime < 0 || mtime > latest).length,
    });
    await runProgram(['--quiet', '--compressor', 'zstd', file], {
      ...{ program: 'tar2sqfs', package: 'squashfs-tools-ng', why: 'it makes squashfs images' },
      ...{ subject: path, signal: bench.signal, input: bench.tar(tree) },
      env: { SOURCE_DATE_EPOCH: String(Math.min(newestTime(entries), latest)) },
    });
  },
});
