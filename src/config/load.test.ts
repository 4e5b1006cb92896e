import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { scratchDirectory } from '../../test/support/filesystem.ts';
import { isCellarError, type CellarError } from '../core/errors.ts';
import { loadConfig, type LoadedConfig } from './load.ts';

interface Written {
  readonly path: string;
  readonly load: (env?: Record<string, string>) => LoadedConfig;
  readonly fails: (env?: Record<string, string>) => CellarError;
}

/** Files by name, the first of them the one that is loaded; `@` in messages is their directory. */
function withFiles(files: Readonly<Record<string, string>>, use: (written: Written) => void): void {
  using scratch = scratchDirectory();
  for (const [name, text] of Object.entries(files)) {
    const path = join(scratch.path, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  const main = join(scratch.path, Object.keys(files)[0]!);
  const load = (env: Record<string, string> = {}): LoadedConfig => loadConfig(main, env);
  const fails = (env: Record<string, string> = {}): CellarError => {
    try {
      load(env);
    } catch (error) {
      if (isCellarError(error, 'E_CONFIG')) return error;
      throw error;
    }
    assert.fail('it was loaded');
  };
  use({ path: scratch.path, load, fails });
}

function complaint(text: string, check: (message: string, error: CellarError, path: string) => void): void {
  withFiles({ 'c.yaml': text }, ({ fails, path }) => {
    const error = fails();
    check(error.message.replaceAll(`${path}/`, ''), error, path);
  });
}

const full = `
version: 1
store: { max-size: 200GiB, keep: 3, grace: 1h }
defaults: { refresh: 1d, keep: 2, retries: 8, labels: {a: x, b: x}, ca: ca.pem }
variables: { release: 1.10, mirror: "https://m.example.org/\${release}" }
groups: { base: [debian, "files/*"] }
images:
  debian:
    source: https://h.example.org/\${release}/rootfs.tar.xz
    mirrors: [ "\${mirror}/a", b ]
    verify: signature
    sha256: ${'AB'.repeat(32)}
    keyring: keys.gpg
    refresh: never
    expires: 1767225600
    keep: 0
    platform: [linux/amd64, linux/arm64/v8]
    labels: { b: 1.20 }
    pin: true
    groups: [more]
    timeout: 90s
    concurrency: 2
    rate-limit: 20MiB/s
    client-certificate: { cert: c.pem, key: /k.pem }
    credentials: { username: u, password-file: pw }
  debian:\${release}:
    source: file:./x y
    platform: all
    refresh: always
    expires: 90d
  files/h/x:
    source: docker-archive:y.tar:name
    cosign: { trust-root: r.json, identity: me, issuer: https://i }
    credentials: { token-env: TOKEN }
`;

test('everything that may be said is understood, in milliseconds, bytes and absolute paths', () => {
  withFiles({ 'd/c.yaml': full }, ({ load, path }) => {
    const { store, images, groups, files } = load();
    assert.deepEqual(store, { maxSize: 200 * 2 ** 30, keep: 3, grace: 3_600_000 });
    assert.deepEqual(files, [`${path}/d/c.yaml`]);
    assert.deepEqual(
      [...groups],
      [
        ['base', ['debian:latest', 'files/h/x:latest']],
        ['more', ['debian:latest']],
      ],
    );
    const common = { retries: 8, concurrency: undefined, rateLimit: undefined, proxy: undefined };
    const ca = `${path}/d/ca.pem`;
    assert.deepEqual(images[0], {
      reference: 'debian:latest',
      where: `${path}/d/c.yaml:8`,
      source: 'https://h.example.org/1.10/rootfs.tar.xz',
      mirrors: ['https://m.example.org/1.10/a', `${path}/d/b`],
      verify: 'signature',
      sha256: 'ab'.repeat(32),
      keyrings: [`${path}/d/keys.gpg`],
      refresh: undefined,
      expires: { at: 1767225600 },
      keep: 0,
      platforms: ['linux/amd64', 'linux/arm64'],
      labels: { a: 'x', b: '1.20' },
      pin: true,
      groups: ['base', 'more'],
      network: {
        ...{ ...common, ca, timeout: 90_000, concurrency: 2, rateLimit: 20 * 2 ** 20 },
        certificate: { cert: `${path}/d/c.pem`, key: '/k.pem' },
      },
      credentials: { username: 'u', file: `${path}/d/pw`, variable: undefined },
    });
    assert.deepEqual(images[1], {
      reference: 'debian:1.10',
      where: `${path}/d/c.yaml:26`,
      source: `file:${path}/d/x y`,
      mirrors: [],
      verify: 'strongest',
      keyrings: [],
      refresh: 0,
      expires: { after: 90 * 86_400_000 },
      keep: 2,
      platforms: 'all',
      labels: { a: 'x', b: 'x' },
      pin: false,
      groups: [],
      network: { ...common, ca, timeout: undefined, certificate: undefined },
    });
    assert.equal(images[2]!.source, `docker-archive:${path}/d/y.tar:name`);
    assert.equal(images[2]!.refresh, 86_400_000);
    const trust = { trustRoot: `${path}/d/r.json`, identity: 'me', issuer: 'https://i' };
    assert.deepEqual(images[2]!.cosign, trust);
    assert.deepEqual(images[2]!.credentials, { username: undefined, file: undefined, variable: 'TOKEN' });
  });
});

test('without a configuration nothing is configured', () => {
  withFiles({ 'c.yaml': '# nothing\n' }, ({ load }) => {
    const { images, defaults, store } = load();
    assert.deepEqual(images, []);
    assert.deepEqual(store, {});
    assert.equal(defaults.refresh, 6 * 3_600_000);
    assert.equal(defaults.verify, 'strongest');
  });
});

const complaints: readonly (readonly [what: string, text: string, message: RegExp, hint?: RegExp])[] = [
  [
    'an unknown key',
    'images: {a: {source: x, refesh: 6h}}',
    /^c\.yaml:1:25: images\.a has no key 'refesh'$/,
    /did you mean 'refresh'/,
  ],
  [
    'an unknown key far from any',
    'store:\n  zzzzzz: 1',
    /^c\.yaml:2:3: store has no key 'zzzzzz'$/,
    /its keys are max-size, keep, grace/,
  ],
  [
    'a bad time',
    'images:\n  a:\n    source: x\n    refresh: 6x',
    /^c\.yaml:4:5: images\.a\.refresh is '6x': expected a time such as/,
  ],
  ['a missing source', 'images:\n  a:\n    pin: true', /^c\.yaml:2:3: images\.a lacks 'source'$/],
  ['a missing value', 'images:\n  a:\n    source:', /^c\.yaml:3:5: images\.a lacks 'source'$/],
  [
    'a list for a text',
    'images: {a: {source: [x]}}',
    /images\.a\.source: expected where the image comes from/,
  ],
  ['a text for a mapping', 'images: {a: x}', /images\.a is 'x': expected keys with values/],
  ['no mapping at all', '- a', /^c\.yaml:1:1: the file: expected keys with values/],
  ['milliseconds', 'images: {a: {source: x, expires: 1767225600000}}', /whole seconds since the epoch/],
  [
    'a span without its unit',
    'images: {a: {source: x, expires: 3600}}',
    /'3600': expected a time after the pull such as 90d/,
  ],
  [
    'a platform',
    'images: {a: {source: x, platform: amd64}}',
    /platform is 'amd64': expected a platform such as linux\/amd64/,
  ],
  ['a digest', 'images: {a: {source: x, sha256: abc}}', /64 hex digits/],
  [
    'half a trust',
    'images: {a: {source: x, cosign: {identity: y}}}',
    /cosign: expected either key, or all of/,
  ],
  [
    'a plain password',
    'images: {a: {source: x, credentials: {username: u, password: sesam}}}',
    /has a secret in it, 'password'/,
    /password-file: FILE/,
  ],
  [
    'a password in a URL',
    'images: {a: {source: "https://u:sesam@h/x"}}',
    /a URL with a password in it/,
    /credentials:/,
  ],
  [
    'a password in a URL within a source',
    'images: {a: {source: "latest:https://u:sesam@h/?x"}}',
    /a URL with a password in it/,
    /credentials:/,
  ],
  ['a name', 'images: {Debian: {source: x}}', /'Debian' is not a reference: names are lower case/],
  [
    'one name twice',
    'images:\n  a: {source: x}\n  a: {source: y}',
    /^c\.yaml:3:3: 'a' is given twice, first at c\.yaml:2:3/,
  ],
  [
    'one reference twice',
    'images:\n  a: {source: x}\n  a:latest: {source: y}',
    /^c\.yaml:3:3: image a:latest is given twice, first at c\.yaml:2:3/,
  ],
  [
    'an unknown variable',
    'variables: {release: x}\nimages: {a: {source: "${relase}"}}',
    /^c\.yaml:2:22: there is no variable 'relase'/,
    /\$\{release\}/,
  ],
  [
    'a variable of itself',
    'variables: {a: "${b}", b: "${a}"}',
    /made of itself \(a → b → a\)|made of itself \(b → a → b\)/,
  ],
  ['an open brace', 'variables: {a: "${b"}', /lacks its closing brace/, /\$\$\{/],
  ['what is no variable', 'variables: {a: "${b c}"}', /'\$\{b c\}' is no variable/],
  ['the environment', 'variables: {a: "${env:NOT_THERE}"}', /the environment has no NOT_THERE/],
  [
    'a member of a group',
    'groups: {g: [debain]}\nimages: {debian: {source: x}}',
    /^c\.yaml:1:14: there is no image 'debain'/,
    /'debian'/,
  ],
  [
    'a group named as an image',
    'groups: {a: [b]}\nimages: {a: {source: x}, b: {source: x}}',
    /'a' is the name of a group, too/,
  ],
  ['a second document', 'images: {}\n---\nimages: {}', /^c\.yaml:2:1: a second document begins here/],
  ['YAML', 'images: {', /^c\.yaml:1:\d+: /],
  ['another version', 'version: 2', /version is '2': expected 1/],
  ['an anchor', 'groups: *x', /.*x/],
  ['a merge key', 'a: &a {}\nimages: {a: {<<: *a, source: x}}', /has no key/],
  [
    'a signer of OCI images for another source',
    'defaults: {cosign: {key: a}}\nimages:\n  a: {source: x}\n  b: {source: "https://h/x.tar", cosign: {key: a}}',
    /^c\.yaml:4:34: cosign signs OCI images, and a source of kind http has none/,
  ],
  ['an include', 'include: gone.yaml', /^c\.yaml:1:10: there is no file gone\.yaml/],
];

for (const [what, text, message, hint] of complaints)
  test(`refused, and where: ${what}`, () => {
    complaint(text, (said, error) => {
      assert.match(said, message);
      if (hint !== undefined) assert.match(error.hint ?? '', hint);
      assert.doesNotMatch(JSON.stringify(error), /sesam/);
    });
  });

test('all that is wrong is told at once, in the order of the file', () => {
  complaint('store: {kep: 1}\nimages:\n  a: {source: x, refresh: z}\n  b: {}', (said, { details, hint }) => {
    assert.match(said, /^c\.yaml:1:9: store has no key 'kep'$/);
    assert.equal((details['others'] as readonly string[]).length, 2);
    assert.match(hint!, /did you mean 'keep'\?; also .*c\.yaml:3:.*c\.yaml:4:/);
  });
});

test('variables: in values and names, of others, from the environment, and none where $$ stands', () => {
  const text =
    'variables: {a: "${b}/${env:HOST_NAME}", b: "1"}\nimages: {"x:${b}": {source: "https://${a}/$${b}"}}';
  withFiles({ 'c.yaml': text }, ({ load }) => {
    const [image] = load({ HOST_NAME: 'h' }).images;
    assert.equal(image!.reference, 'x:1');
    assert.equal(image!.source, 'https://1/h/${b}');
  });
});

test('what came from the environment is not repeated, nor what came by way of a variable', () => {
  const direct = 'images: {a: {source: x, refresh: "${env:SECRET}"}}';
  withFiles({ 'c.yaml': direct }, ({ fails }) => {
    const error = fails({ SECRET: 'sesam' });
    assert.match(error.message, /refresh is '\$\{env:SECRET\}'/);
    assert.doesNotMatch(JSON.stringify(error), /sesam/);
  });
  const named = 'variables: {often: "${env:SECRET}"}\nimages: {a: {source: x, refresh: "${often}"}}';
  withFiles({ 'c.yaml': named }, ({ fails }) => {
    const error = fails({ SECRET: 'sesam' });
    assert.match(error.message, /refresh is '\$\{often\}'/);
    assert.doesNotMatch(JSON.stringify(error), /sesam/);
  });
});

test('a password in a URL may come from the environment', () => {
  withFiles({ 'c.yaml': 'images: {a: {source: "https://u:${env:PW}@h/x"}}' }, ({ load }) => {
    assert.equal(load({ PW: 'sesam' }).images[0]!.source, 'https://u:sesam@h/x');
  });
});

test('included files are read as one with the first, with paths of their own', () => {
  const files = {
    'c.yaml': 'include: [more/*.yaml, one.yaml]\ndefaults: {keep: 1}\nimages: {a: {source: x}}',
    'more/b.yaml': 'variables: {v: w}\nimages: {b: {source: x}}\ndefaults: {retries: 1}',
    'more/a.yaml': 'include: ../one.yaml\nimages: {c: {source: "${v}"}}\ngroups: {g: [a, b]}',
    'one.yaml': 'images: {d: {source: x}}',
  };
  withFiles(files, ({ load, path }) => {
    const { images, groups, files: names } = load();
    const seen = images.map(({ reference, source, keep }) => [reference, source, keep]);
    assert.deepEqual(seen, [
      ['a:latest', `${path}/x`, 1],
      ['c:latest', `${path}/more/w`, 1],
      ['d:latest', `${path}/x`, 1],
      ['b:latest', `${path}/more/x`, 1],
    ]);
    assert.deepEqual(groups.get('g'), ['a:latest', 'b:latest']);
    assert.deepEqual(
      names.map((name) => name.slice(path.length + 1)),
      ['c.yaml', 'more/a.yaml', 'one.yaml', 'more/b.yaml'],
    );
  });
});

test('nothing in one file outdoes another, and no file includes itself', () => {
  const twice = { 'c.yaml': 'include: d.yaml\nstore:\n  keep: 1', 'd.yaml': 'store:\n  keep: 1' };
  withFiles(twice, ({ fails }) => {
    assert.match(fails().message, /d\.yaml:2:3: store\.keep is given twice, first at .*c\.yaml:3:3/);
  });
  withFiles({ 'c.yaml': 'include: d.yaml', 'd.yaml': 'include: [c.yaml]' }, ({ fails }) => {
    assert.match(fails().message, /d\.yaml:1:11: .*c\.yaml is included again by what it includes/);
  });
  withFiles({ 'c.yaml': 'include: d*.yaml', 'd.yaml': 'images: {A: {source: x}}' }, ({ fails }) => {
    assert.match(fails().message, /d\.yaml:1:10: 'A' is not a reference/);
  });
});

test('a small file that names a great many things is refused', () => {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
  for (let level = 1; level < 9; level++)
    lines.push(
      `a${level}: &a${level} [${Array(10)
        .fill(`*a${level - 1}`)
        .join(', ')}]`,
    );
  complaint(lines.join('\n'), (said) => assert.match(said, /nested too deep or repeated too often/));
});
