import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aclFromText, aclToText, checkAcl, modeOfAcl, type AclContext } from './acl.ts';

const context: AclContext = {
  kind: 'access',
  path: '/file',
  resolveUser: (name) => ({ lisa: 502 })[name],
  resolveGroup: (name) => ({ staff: 50 })[name],
};

const canonical = 'user::rwx,user:502:r--,group::r-x,group:50:---,mask::r-x,other::---';

function binary(text: string, kind: AclContext['kind'] = 'access'): string {
  const value = aclFromText(text, { ...context, kind });
  assert.ok(value !== undefined, text);
  return value;
}

test('every spelling is the same ACL', () => {
  const spellings = [
    canonical,
    canonical.replaceAll(',', '\n'),
    `${canonical.replaceAll(',', '\n')}\n`,
    'u::rwx,u:lisa:r,g::rx,g:staff:-,m::rx,o::-',
    'u::7,u:lisa:4,g::5,g:staff:0,m:5,o:0',
    'other::---,mask::r-x,group:staff:---,group::r-x,user:lisa:r--,user::rwx',
    'user::rwx,user:nobody:r--:502,group::r-x,group:x:---:50,mask::r-x,other::---',
    'user::rwx,user:lisa:r--:,group::r-x,group:staff:---,mask::r-x,other::---',
    'user::rwx\nuser:lisa:r--\t#effective:r--\n# comment\n\ngroup::r-x\ngroup:staff:---\nmask::r-x\nother::---\n',
    ' user::rwx , user:lisa:r-- , group::r-x , group:staff:--- , mask::r-x , other::--- ',
    canonical.replaceAll(/(^|,)/g, '$1default:'),
    canonical.replaceAll(/(^|,)/g, '$1d:'),
  ];
  for (const text of spellings)
    assert.equal(aclToText(binary(text), 'access'), canonical, JSON.stringify(text));
});

test('the binary form is that of linux/posix_acl_xattr.h', () => {
  const bytes = Buffer.from(binary('u::rw,u:502:r,g::r,m::r,o::-'), 'latin1').toString('hex');
  const noId = 'ffffffff';
  assert.equal(
    bytes,
    `02000000${`01000600${noId}`}${'02000400f6010000'}${`04000400${noId}`}${`10000400${noId}`}${`20000000${noId}`}`,
  );
});

test('an access ACL that says no more than the mode is none; a default ACL is one', () => {
  assert.equal(aclFromText('user::rw-,group::r--,other::r--', context), undefined);
  assert.equal(aclFromText('', context), undefined);
  assert.equal(
    aclToText(binary('user::rw-,group::r--,other::r--', 'default'), 'default'),
    'user::rw-,group::r--,other::r--',
  );
});

test('what the kernel would refuse is refused', () => {
  const bad = [
    'user:eve:r--,user::rwx,group::r--,mask::r--,other::r--',
    'user:lisa:r--,group::r--,mask::r--,other::r--',
    'user::rwx,user:lisa:r--,group::r--,other::r--',
    'user::rwx,user:502:r--,user:lisa:rw-,group::r--,mask::r--,other::r--',
    'user::rwx,user::rwx,group::r--,other::r--',
    'user::rwx,user:4294967295:r--,group::r--,mask::r--,other::r--',
    'user::rwz,group::r--,other::r--',
    'nonsense',
    'user::rwx,group::r--,other::r--,role:x:r--',
  ];
  for (const text of bad) assert.throws(() => aclFromText(text, context), { code: 'E_TREE_INVALID' }, text);
  const users = Array.from({ length: 8188 }, (_, id) => `user:${id}:r--`).join();
  const least = 'user::rwx,group::r--,other::r--';
  assert.throws(() => aclFromText(`${least},mask::r--,${users}`, context), /over 8191 entries/);
  const good = binary(canonical);
  assert.doesNotThrow(() => checkAcl(good, '/file'));
  for (const value of ['', '\x02\0\0\0', good.slice(1), good.slice(0, -8), `\x03${good.slice(1)}`])
    assert.throws(() => checkAcl(value, '/file'), { code: 'E_TREE_INVALID' });
});

test('text is only written for what it gives back', () => {
  const good = binary(canonical);
  const named = good.slice(12, 20);
  const unsorted = good.slice(0, 12) + named.replace('\xf6\x01', '\xf7\x01') + named + good.slice(20);
  assert.doesNotThrow(() => checkAcl(unsorted, '/file'));
  assert.equal(aclToText(unsorted, 'access'), undefined);
  assert.equal(aclToText('garbage', 'access'), undefined);
});

test('the mode follows the ACL as the kernel would set it', () => {
  const of = (text: string): number => modeOfAcl(0o4644, [['system.posix_acl_access', binary(text)]]);
  assert.equal(of('u::rwx,u:502:rwx,g::r,m::rw,o::x'), 0o4761);
  assert.equal(of('u::r,g::rx,m::-,o::-'), 0o4400);
  assert.equal(modeOfAcl(0o640, [['user.a', 'x']]), 0o640);
});
