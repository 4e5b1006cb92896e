/**
 * What a configuration may say. From this one description come the check of cellar.yaml, the JSON Schema for editors
 * and the reference page. Values are text when they get here; what comes out has milliseconds, bytes and platforms.
 */
import { z } from 'zod';
import type { VerifyPolicy } from '../source/verify/evidence.ts';
import { deployDefaultSettings, deploymentName, deploymentSettings } from './deployment-schema.ts';
import {
  count,
  digest,
  duration,
  expiry,
  file,
  flag,
  groupName,
  key,
  needed,
  pattern,
  plain,
  platforms,
  positive,
  refresh,
  size,
  some,
  text,
  word,
} from './fields.ts';

const verifyPolicies = [
  'strongest',
  'signature',
  'checksum',
  'no',
] as const satisfies readonly VerifyPolicy[];

const mapping = { error: 'keys with values' } as const;

const labels = z.record(
  z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]*$/, 'a label of letters, digits and . _ - /'),
  plain,
  mapping,
);

export const cosignSettings = z
  .strictObject(
    {
      key: key(file(), { meaning: 'Public key that must have signed', example: 'cosign.pub' }),
      'trust-root': key(file(), {
        meaning: 'Root of trust for keyless signatures, a trusted_root.json; identity and issuer go with it',
        example: 'trusted_root.json',
      }),
      identity: key(text(), {
        meaning: 'Whose certificate must have signed, exactly',
        example: 'release@example.org',
      }),
      issuer: key(text(), {
        meaning: 'Who must have vouched for that identity',
        example: 'https://accounts.example.org',
      }),
    },
    mapping,
  )
  .check((context) => {
    const { key: publicKey, 'trust-root': root, identity, issuer } = context.value;
    const keyless = [root, identity, issuer].filter((value) => value !== undefined).length;
    const isComplete = publicKey === undefined ? keyless === 3 : keyless === 0;
    if (!isComplete)
      context.issues.push({
        ...{ code: 'custom', input: context.value },
        message: 'either key, or all of trust-root, identity and issuer',
      });
  });

export const certificateSettings = z.strictObject(
  {
    cert: needed(file(), { meaning: 'Certificate to show, PEM', example: 'client.pem' }),
    key: needed(file(), { meaning: 'Its key, PEM', example: 'client.key' }),
  },
  mapping,
);

export const credentialSettings = z
  .strictObject(
    {
      username: key(text(), { meaning: 'With a password', example: 'reader' }),
      'password-file': key(file(), { meaning: 'File with the password', example: 'password' }),
      'password-env': key(text(), {
        meaning: 'Environment variable with the password',
        example: 'MIRROR_PASSWORD',
      }),
      'token-file': key(file(), { meaning: 'File with a bearer token, in place of name and password' }),
      'token-env': key(text(), { meaning: 'Environment variable with a bearer token' }),
    },
    mapping,
  )
  .check((context) => {
    const { username, ...secrets } = context.value;
    const [secret, ...more] = Object.keys(secrets).filter((name) => secrets[name as keyof typeof secrets]);
    const isToken = secret?.startsWith('token') === true;
    const isComplete = secret !== undefined && more.length === 0 && isToken === (username === undefined);
    if (!isComplete)
      context.issues.push({
        ...{ code: 'custom', input: context.value },
        message: 'username and one of password-file and password-env, or one of token-file and token-env',
      });
  });

/** What every image may have, and `defaults` may have for all of them. */
const common = {
  verify: key(word(verifyPolicies), {
    meaning:
      'What must be checked before the image is stored. `strongest` is what the source offers, and never less than the version before had',
    standard: '`strongest`',
    example: 'signature',
  }),
  keyring: key(some(file()), {
    meaning: 'Trust these OpenPGP keys instead of those of the store and of systemd',
    example: 'vendor.gpg',
  }),
  cosign: key(cosignSettings, {
    meaning:
      'Who must have signed an OCI image; in `defaults` it is for these alone, and beside a source of anything else it is a mistake',
    example: '{key: cosign.pub}',
  }),
  refresh: key(refresh(), {
    meaning: 'How often `sync` asks upstream for a newer version',
    standard: '`6h`',
    example: '1d',
  }),
  keep: key(count(), {
    meaning: 'Earlier versions to keep',
    standard: 'that of `store`',
    example: '2',
  }),
  platform: key(platforms(), {
    meaning:
      'For which platforms; `all` for every one that the source has. An archive or a file is of none, and kept for the first',
    standard: "this machine's",
    example: '[linux/amd64, linux/arm64]',
  }),
  labels: key(labels, {
    meaning: 'Notes on the image; those of an image and of `defaults` are put together',
    example: '{team: infra}',
    type: 'text for each name',
  }),
  'max-size': key(size(), {
    meaning: 'Refuse a tree with more content than this',
    standard: '`1TiB`',
    example: '20GiB',
  }),
  'max-files': key(positive(), {
    meaning: 'Refuse a tree with more paths than this',
    standard: '20000000',
    example: '2000000',
  }),
  retries: key(count(), { meaning: 'Tries of a request after the first', standard: '4', example: '8' }),
  timeout: key(duration(), {
    meaning: 'Give up a try after this long without a byte; `0` is never',
    standard: '`30s`',
    example: '2m',
  }),
  concurrency: key(positive(), { meaning: 'Connections at a time', standard: '4', example: '8' }),
  'rate-limit': key(size('/s'), {
    meaning: 'Bytes a second, over all connections; `0` is no limit',
    example: '20MiB/s',
  }),
  proxy: key(text('the URL of a proxy', 'URL'), {
    meaning: 'Proxy for this source',
    standard: 'from the environment (`https_proxy`, `no_proxy`)',
    example: 'http://proxy.example.org:3128',
  }),
  ca: key(file(), { meaning: 'Trust these certificate authorities, too, PEM', example: 'our-ca.pem' }),
  'client-certificate': key(certificateSettings, {
    meaning: 'Certificate to show to the server, and its key',
    example: '{cert: client.pem, key: client.key}',
    type: '`cert` and `key`, files',
  }),
};

export const imageSettings = z.strictObject(
  {
    source: needed(text('where the image comes from', 'source'), {
      meaning: 'Where it comes from; `cellar help names` lists the kinds. Relative paths begin at this file',
      standard: 'has to be there',
      example: 'https://images.example.org/${release}/rootfs.tar.xz',
    }),
    mirrors: key(some(text('a URL', 'URL')), {
      meaning: 'More places with the same files, in the order to try them',
      example: '[https://mirror.example.org/]',
    }),
    sha256: key(digest(), { meaning: 'Digest that the file must have', example: `'${'3f1c'.repeat(16)}'` }),
    expires: key(expiry(), {
      meaning:
        'When the image ceases to be good: seconds since the epoch, or a time after it was pulled. What the source itself says counts where this is left out',
      standard: 'never',
      example: '90d',
    }),
    pin: key(flag(), {
      meaning: 'Protect the image from removal and eviction',
      standard: '`false`',
      example: 'true',
    }),
    groups: key(some(groupName), { meaning: 'Groups it belongs to', example: '[base]' }),
    credentials: key(credentialSettings, {
      meaning: 'For the source itself, never for its mirrors; secrets stand in a file or in the environment',
      example: '{username: reader, password-file: password}',
    }),
    ...common,
  },
  mapping,
);

export type ImageSettings = z.output<typeof imageSettings>;

export const defaultSettings = z.strictObject(
  {
    ...common,
    expires: key(expiry(), { meaning: 'As for an image', example: '90d' }),
  },
  mapping,
);

export type DefaultSettings = z.output<typeof defaultSettings>;

export const storeSettings = z.strictObject(
  {
    'max-size': key(size(), {
      meaning:
        'Most that the store may take; earlier versions of what was pulled go first, then the least recently used',
      standard: 'no bound',
      example: '200GiB',
    }),
    keep: key(count(), { meaning: 'Earlier versions of each image to keep', standard: '10', example: '3' }),
    grace: key(duration(), {
      meaning: 'What is younger is never removed by `gc`',
      standard: '`1h`',
      example: '30m',
    }),
  },
  mapping,
);

export type StoreSettings = z.output<typeof storeSettings>;

export const fileSettings = z.strictObject(
  {
    version: key(
      pattern(/^1$/, { wanted: '1, the only version there is', type: '1', json: { enum: [1, '1'] } }),
      {
        meaning: 'Of this format',
        standard: '1',
        example: '1',
      },
    ),
    store: key(storeSettings, { meaning: 'Bounds of the store' }),
    defaults: key(defaultSettings, { meaning: 'For every image that does not say otherwise' }),
    variables: key(
      z.record(
        z.string().regex(/^[A-Za-z_][A-Za-z0-9_-]*$/, 'a name of letters, digits, _ and -'),
        plain,
        mapping,
      ),
      {
        meaning: 'Text for `${name}` in any value or image name of any of the files',
        example: '{release: trixie}',
        type: 'text for each name',
      },
    ),
    include: key(some(text('the path of a file, which may hold * and ?', 'path')), {
      meaning: 'More files of this kind, read as if they stood in this one; `*`, `?` and `**` are filled in',
      example: '[images/*.yaml]',
    }),
    groups: key(
      z.record(
        z.string(),
        z.array(z.string({ error: 'the name of an image' }), { error: 'a list of images' }),
        mapping,
      ),
      {
        meaning: 'Images to be named together; `*` stands for any text',
        example: '{base: [debian, "files/*"]}',
        type: 'list of images for each name',
      },
    ),
    images: key(z.record(z.string(), imageSettings, mapping), {
      meaning: 'The images, each under the reference that it is kept as',
      type: 'settings for each reference',
    }),
    'deploy-defaults': key(deployDefaultSettings, {
      meaning: 'For every deployment that does not say otherwise',
    }),
    deployments: key(z.record(deploymentName, deploymentSettings, mapping), {
      meaning: 'What `cellar apply` puts in service, each under a name of its own',
      type: 'settings for each name',
    }),
  },
  mapping,
);

export type FileSettings = z.output<typeof fileSettings>;
