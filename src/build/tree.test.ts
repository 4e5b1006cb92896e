import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scratchDirectory } from '../../test/support/filesystem.ts';
import { needs } from '../../test/support/run.ts';
import { isCellarError } from '../core/errors.ts';
import { ownerIn } from './accounts.ts';
import { configureTree } from './configure.ts';
import { placeTransient } from './transient.ts';
import { resolveInside } from './inside.ts';
import { putContent, putPath, removeInside } from './put.ts';
import { identities } from './recipe.ts';
import { scrub } from './scrub.ts';

const skip = needs({ root: true });
const owner = { uid: 0, gid: 0 };

/** `outside` beside it must never be reached. */
function tree(): { root: string; outside: string } & Disposable {
  const scratch = scratchDirectory();
  const root = join(scratch.path, 'root');
  const outside = join(scratch.path, 'outside');
  for (const path of ['etc/ssh', 'var/log/apt', 'var/lib/dbus'])
    mkdirSync(join(root, path), { recursive: true });
  mkdirSync(outside);
  return { root, outside, [Symbol.dispose]: () => scratch[Symbol.dispose]() };
}

test('symlinks are followed in the tree, never out of it', () => {
  using made = tree();
  const { root, outside } = made;
  symlinkSync(outside, join(root, 'absolute'));
  symlinkSync('../../../../../..' + outside, join(root, 'etc/relative'));
  symlinkSync('/etc', join(root, 'settings'));
  symlinkSync('b', join(root, 'a'));
  symlinkSync('a', join(root, 'b'));
  assert.equal(resolveInside(root, '/absolute/x'), `${root}${outside}/x`);
  assert.equal(resolveInside(root, '/etc/relative/x'), `${root}${outside}/x`);
  assert.equal(resolveInside(root, '/settings/ssh/../x'), `${root}/etc/x`);
  assert.equal(resolveInside(root, '/../../x'), `${root}/x`);
  assert.equal(resolveInside(root, '/settings'), `${root}/settings`);
  assert.equal(resolveInside(root, '/settings', { followLast: true }), `${root}/etc`);
  assert.throws(
    () => resolveInside(root, '/a/x'),
    (error) => isCellarError(error, 'E_TREE_INVALID'),
  );
});

test('files are put and removed in the tree alone', { skip }, () => {
  using made = tree();
  const { root, outside } = made;
  writeFileSync(join(outside, 'precious'), 'precious');
  symlinkSync(outside, join(root, 'out'));
  symlinkSync(join(outside, 'precious'), join(root, 'etc/link'));
  putContent(root, '/out/precious', 'x', { owner, mode: 0o600 });
  putContent(root, '/etc/link', 'mine', { owner: { uid: 3, gid: 4 }, mode: 0o4755, clock: 1_000_000_000 });
  removeInside(root, '/out/precious');
  scrub(root, identities);
  assert.equal(readFileSync(join(outside, 'precious'), 'utf8'), 'precious');
  const stat = lstatSync(join(root, 'etc/link'));
  assert.deepEqual(
    [stat.isFile(), stat.uid, stat.gid, stat.mode & 0o7777, stat.mtimeMs],
    [true, 3, 4, 0o4755, 1e12],
  );
  assert.throws(() => putContent(root, '/etc', 'x', { owner }), /it is a directory/);
  assert.throws(() => putPath(root, '/x', join(outside, 'none'), { owner }), /does not exist/);
});

test('directories are united, with links and modes', { skip }, () => {
  using made = tree();
  const { root, outside } = made;
  mkdirSync(join(outside, 'sub'));
  writeFileSync(join(outside, 'sub/file'), 'content', { mode: 0o640 });
  symlinkSync('file', join(outside, 'sub/link'));
  putPath(root, '/etc', outside, { owner: { uid: 1, gid: 2 } });
  assert.equal(readlinkSync(join(root, 'etc/sub/link')), 'file');
  assert.equal(statSync(join(root, 'etc/sub/file')).mode & 0o777, 0o640);
  assert.equal(lstatSync(join(root, 'etc/sub/link')).uid, 1);
  assert.ok(existsSync(join(root, 'etc/ssh')));
});

test('what a command needs leaves as if it had never been there', { skip }, () => {
  using made = tree();
  const { root } = made;
  symlinkSync('/run/resolv.conf', join(root, 'etc/resolv.conf'));
  utimesSync(join(root, 'etc'), 1e9, 1e9);
  utimesSync(root, 1e9, 1e9);
  const file = { path: '/etc/resolv.conf', content: 'nameserver ::1\n', mode: 0o644, replace: true };
  {
    using _transient = placeTransient(root, [file, { ...file, path: '/usr/sbin/policy-rc.d' }]);
    assert.equal(readFileSync(join(root, 'etc/resolv.conf'), 'utf8'), 'nameserver ::1\n');
    assert.ok(statSync(join(root, 'proc')).isDirectory());
  }
  assert.equal(readlinkSync(join(root, 'etc/resolv.conf')), '/run/resolv.conf');
  assert.equal(existsSync(join(root, 'proc')), false);
  assert.equal(existsSync(join(root, 'usr')), false);
  assert.equal(statSync(join(root, 'etc')).mtimeMs, 1e12);
  assert.equal(statSync(root).mtimeMs, 1e12);
  {
    using _transient = placeTransient(root, [file]);
    removeInside(root, '/etc/resolv.conf');
    writeFileSync(join(root, 'etc/resolv.conf'), 'own');
  }
  assert.equal(readFileSync(join(root, 'etc/resolv.conf'), 'utf8'), 'own');
  symlinkSync('/etc', join(root, 'sys'));
  assert.throws(() => placeTransient(root, []), /\/sys: it has to be a directory/);
});

test('identity goes', { skip }, () => {
  using made = tree();
  const { root } = made;
  const files = [
    'etc/machine-id',
    'var/lib/dbus/machine-id',
    'etc/ssh/ssh_host_rsa_key',
    'etc/ssh/sshd_config',
    'etc/hostname',
  ];
  for (const path of [...files, 'var/log/apt/term.log', 'var/log/x.1.gz'])
    writeFileSync(join(root, path), 'x');
  scrub(root, ['machine-id', 'ssh']);
  assert.ok(existsSync(join(root, 'etc/hostname')));
  scrub(root, identities);
  const left = [...files, 'var/log/x.1.gz'].filter((path) => existsSync(join(root, path)));
  assert.deepEqual(left, ['etc/machine-id', 'etc/ssh/sshd_config']);
  assert.equal(statSync(join(root, 'etc/machine-id')).size, 0);
  assert.equal(statSync(join(root, 'var/log/apt/term.log')).size, 0);
});

test('configuration adds to what is there, and may be repeated', { skip }, () => {
  using made = tree();
  const { root, outside } = made;
  writeFileSync(join(root, 'etc/hosts'), '127.0.0.1 localhost\n10.0.0.1 old\n');
  writeFileSync(join(root, 'etc/passwd'), 'ann:x:7:8::/home/ann:/bin/sh\n');
  writeFileSync(
    join(outside, 'list'),
    '# files\n0100600 7 8 /etc/secret\noverwrite 0644 0 0 /etc/motd\n040711 0 0 /srv\n',
  );
  mkdirSync(join(outside, 'etc'));
  mkdirSync(join(outside, 'srv'));
  for (const name of ['secret', 'motd']) writeFileSync(join(outside, 'etc', name), name);
  writeFileSync(join(root, 'etc/motd'), 'old');
  const configure = {
    'machine-id': 'new',
    hosts: { '10.0.0.1': ['db'] },
    fstab: ['LABEL=root / ext4 defaults 0 1'],
    authorized_keys: { ann: ['ssh-ed25519 AAAA'] },
    install: ['list'],
  };
  const setting = { root, directory: outside, clock: 1e9 };
  configureTree(setting, configure);
  const { install: _, ...again } = configure;
  configureTree(setting, again);
  const read = (path: string): string => readFileSync(join(root, path), 'utf8');
  assert.equal(read('etc/hosts'), '127.0.0.1 localhost\n10.0.0.1\tdb\n');
  assert.equal(read('etc/fstab'), 'LABEL=root / ext4 defaults 0 1\n');
  assert.match(read('etc/machine-id'), /^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}\n$/);
  assert.equal(read('home/ann/.ssh/authorized_keys'), 'ssh-ed25519 AAAA\n');
  assert.deepEqual(
    [statSync(join(root, 'home/ann/.ssh')).uid, statSync(join(root, 'home/ann/.ssh')).mode & 0o777],
    [7, 0o700],
  );
  assert.equal(read('etc/motd'), 'motd');
  assert.equal(statSync(join(root, 'etc/secret')).mode & 0o777, 0o600);
  assert.equal(statSync(join(root, 'srv')).mode & 0o777, 0o711);
  assert.throws(() => configureTree(setting, { install: ['list'] }), /\/etc\/secret: it is there already/);
});

test('owners are those the tree knows', () => {
  using made = tree();
  const { root } = made;
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/root:\nwww:x:33:34::/:\n');
  writeFileSync(join(root, 'etc/group'), 'adm:x:4:\n');
  assert.deepEqual(ownerIn(root, 'www'), { uid: 33, gid: 34 });
  assert.deepEqual(ownerIn(root, 'www:adm'), { uid: 33, gid: 4 });
  assert.deepEqual(ownerIn(root, '7'), { uid: 7, gid: 7 });
  assert.throws(() => ownerIn(root, 'nobody-here'), /knows no 'nobody-here'/);
});
