import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noXattrs, type Entry } from '../../tree/entry.ts';
import { findBootFiles } from './boot.ts';
import { systemParameters } from './parameters.ts';
import { completeFstab } from './state.ts';
import { openTarget } from '../targets.ts';

const bare = { mode: 0o644, uid: 0, gid: 0, mtime: 0, mtimeNsec: 0, xattrs: noXattrs, size: 1, rdev: 0 };
const file = (path: string): Entry => ({ ...bare, path, type: 'file', digest: '1'.repeat(64) });
const directory = (path: string): Entry => ({ ...bare, path, type: 'directory', size: 0 });
const link = (path: string, target: string): Entry => ({ ...bare, path, type: 'symlink', target });

function found(entries: readonly Entry[], given: Readonly<Record<string, string>> = {}): object {
  const sorted = entries.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  return Object.fromEntries(findBootFiles(sorted, systemParameters(given), { reference: 'sys:1' }));
}

test('a kernel is found where distributions keep it, and its own initramfs with it', () => {
  const boot = [directory('/'), directory('/boot')];
  assert.deepEqual(found(boot), {});
  const files = [
    file('/boot/vmlinuz-6.9'),
    file('/boot/vmlinuz-6.12'),
    file('/boot/initrd.img-6.9'),
    file('/boot/initrd.img-6.12'),
  ];
  assert.deepEqual(found([...boot, ...files]), {
    kernel: '/boot/vmlinuz-6.12',
    initramfs: '/boot/initrd.img-6.12',
  });
  assert.deepEqual(found([...boot, ...files, link('/vmlinuz', 'boot/vmlinuz-6.9')]), {
    kernel: '/boot/vmlinuz-6.9',
    initramfs: '/boot/initrd.img-6.9',
  });
  assert.deepEqual(found([...boot, ...files], { initramfs: 'none', dtb: 'boot/vmlinuz-6.9' }), {
    kernel: '/boot/vmlinuz-6.12',
    dtb: '/boot/vmlinuz-6.9',
  });
  assert.deepEqual(found([...boot, file('/boot/zImage'), file('/boot/initramfs.gz')]), {
    kernel: '/boot/zImage',
    initramfs: '/boot/initramfs.gz',
  });
});

test('what is named and is not there is refused', () => {
  assert.throws(() => found([directory('/')], { kernel: 'boot/none-such' }), { code: 'E_PATH_NOT_FOUND' });
  assert.throws(() => found([directory('/'), directory('/boot')], { dtb: '/boot' }), {
    code: 'E_PATH_NOT_FOUND',
  });
});

test('labels and shared directories stay out of what versions need for themselves', () => {
  assert.equal(systemParameters({}).label, undefined);
  assert.deepEqual(systemParameters({}).state, ['home', 'root', 'opt', 'srv', 'var']);
  assert.deepEqual(systemParameters({ state: 'none' }).state, []);
  assert.deepEqual(systemParameters({ state: 'home, var,home' }).state, ['home', 'var']);
  assert.equal(systemParameters({ label: '2026-11' }).label, '2026-11');
  for (const given of [
    { label: 'default' },
    { label: '' },
    { label: '../up' },
    { label: 'a/b' },
    { label: '.hidden' },
    { state: 'etc' },
    { state: '..' },
    { state: 'var/lib' },
    { state: '' },
    { 'set-default': 'maybe' },
  ])
    assert.throws(() => systemParameters(given as Record<string, string>), { code: 'E_USAGE' });
});

test('a table of file systems gets the lines that it lacks', () => {
  const completion = { device: 'UUID=1', base: '', names: ['home', 'var'] };
  const whole = completeFstab('', completion);
  assert.equal(
    whole,
    'UUID=1 / btrfs defaults,noatime 0 0\n' +
      'UUID=1 /home btrfs subvol=/state/home,defaults,noatime 0 0\n' +
      'UUID=1 /var btrfs subvol=/state/var,defaults,noatime 0 0\n',
  );
  assert.equal(completeFstab(whole, completion), whole);
  const own = '# mine\nLABEL=data\t/home/ ext4 defaults 0 2\n/dev/vda / btrfs rw 0 1';
  assert.equal(
    completeFstab(own, { ...completion, base: '/a b' }),
    `${own}\nUUID=1 /var btrfs subvol=/a\\040b/state/var,defaults,noatime 0 0\n`,
  );
});

test('a path that mount options cannot hold is no target', async () => {
  const open = (path: string): Promise<unknown> => openTarget(`system:${path}`, { force: false });
  for (const path of ['relative', '/', '/a,b', '/a b'])
    await assert.rejects(open(path), { code: 'E_TARGET_INVALID' });
  await assert.doesNotReject(open('/mnt'));
});
