import assert from 'node:assert/strict';
import { test } from 'node:test';
import { directoryOf, includesOf, newDefinition, rootfsOf, substitute, withRootfs } from './definition.ts';

const place = { name: 'web', path: '/var/lib/lxc/web' };

test('of several roots the last counts, and only it is replaced', () => {
  const text = '# web\nlxc.rootfs.path = dir:/a\n lxc.rootfs.path=dir:/b \nlxc.uts.name = web\n';
  assert.equal(rootfsOf(text), 'dir:/b');
  assert.equal(
    withRootfs(text, 'dir:/c'),
    '# web\nlxc.rootfs.path = dir:/a\nlxc.rootfs.path = dir:/c\nlxc.uts.name = web\n',
  );
});

test('a definition without a root gets a line, and loses it again without a trace', () => {
  for (const text of ['', 'lxc.uts.name = web\n', '# lxc.rootfs.path = dir:/a\n']) {
    const set = withRootfs(text, 'dir:/c');
    assert.equal(rootfsOf(set), 'dir:/c');
    assert.equal(withRootfs(set, undefined), text);
  }
  assert.equal(rootfsOf(withRootfs('lxc.uts.name = web', 'dir:/c')), 'dir:/c');
});

test('only directories are directories', () => {
  assert.equal(directoryOf('dir:/a/b'), '/a/b');
  assert.equal(directoryOf('/a/b'), '/a/b');
  assert.equal(directoryOf('overlay:/a:/b'), undefined);
  assert.equal(directoryOf(undefined), undefined);
});

test('placeholders are replaced once, whatever the name is', () => {
  const all = 'LXC_NAME LXC_PATH LXC_ROOTFS LXC_TEMPLATE_CONFIG LXC_HOOK_DIR LXC_OTHER';
  assert.equal(
    substitute(all, place),
    'web /var/lib/lxc/web /var/lib/lxc/web/rootfs /usr/share/lxc/config /usr/share/lxc/hooks LXC_OTHER',
  );
  assert.equal(substitute('LXC_NAME', { ...place, name: 'LXC_PATH' }), 'LXC_PATH');
});

test('a new definition is the distribution between what this machine has for all', () => {
  const text = newDefinition(place, {
    distribution: 'lxc.include = LXC_TEMPLATE_CONFIG/debian.common.conf\nlxc.arch = x86_64\n',
    defaults: '# all\nlxc.net.0.type = veth\nlxc.net.0.hwaddr = 00:16:3e:xx:xx:xx\nlxc.start.auto = 1\n',
    hasFstab: true,
  });
  assert.deepEqual(includesOf(text), ['/usr/share/lxc/config/debian.common.conf']);
  assert.match(text, /lxc\.arch = x86_64\n\n# Container specific configuration\nlxc\.start\.auto = 1\n/);
  assert.match(text, /lxc\.mount\.fstab = \/var\/lib\/lxc\/web\/fstab\nlxc\.uts\.name = web\n/);
  assert.match(text, /lxc\.net\.0\.hwaddr = 00:16:3e(?::[0-9a-f]{2}){3}\n$/);
  const minimal = newDefinition(place, { distribution: undefined, defaults: '', hasFstab: false });
  assert.deepEqual(includesOf(minimal), ['/usr/share/lxc/config/common.conf']);
});
