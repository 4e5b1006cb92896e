/** What a configuration may say of what is in service where: `deployments` and the defaults of all of them. */
import { z } from 'zod';
import { isCellarError } from '../core/errors.ts';
import { parseMode, parseOwner } from '../core/ownership.ts';
import { parseSelector } from '../core/reference.ts';
import { count, flag, groupName, key, needed, pattern, plain, scalar, size, some, text } from './fields.ts';

const mapping = { error: 'keys with values' } as const;

/** Without a dot, so that the first one of `NAME.KEY=VALUE` ends it. */
export const deploymentName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]*$/, 'a name of lower-case letters, digits, _ and -');

export const parameterKey = /^[A-Za-z0-9][A-Za-z0-9._/-]*$/;

const parameters = z.record(
  z.string().regex(parameterKey, 'a parameter of letters, digits and . _ - /'),
  plain,
  mapping,
);

const command = (meaning: string, example: string): z.ZodOptional<z.ZodType<string, string>> =>
  key(text('a command for the shell', 'command'), { meaning, example });

/** What every deployment may have, and `deploy-defaults` may have for all of them. */
const common = {
  writable: key(flag(), {
    meaning: 'Let the version be written to while it is in service',
    standard: 'as the kind of target has it',
    example: 'true',
  }),
  method: key(text('a checkout method', 'method'), {
    meaning: 'How the tree is made visible; `cellar checkout --help` lists the methods',
    standard: 'the best that works',
    example: 'copy',
  }),
  quota: key(size(), {
    meaning: 'What the version may hold in all; for methods `btrfs`, `lvm`, `zfs`',
    example: '10G',
  }),
  keep: key(count(), { meaning: 'Earlier versions to keep', standard: '2', example: '5' }),
  'on-change': command('Run in a shell after a switch', 'systemctl restart nova-api'),
  check: command('Run then; when it fails the version before is put back', 'curl -sf localhost:8774'),
  stop: command('Stops what runs on the target before a switch', 'machinectl poweroff web1'),
  start: command('Starts it again afterwards', 'machinectl start web1'),
  mode: key(
    scalar(parseMode, {
      wanted: "octal permission bits such as '0755'",
      type: 'octal',
      json: { type: ['string', 'integer'], maximum: 7777, pattern: String.raw`^[0-7]{3,4}$|\$\{` },
    }),
    { meaning: 'Permission bits of the file or the top directory', example: "'0755'" },
  ),
  owner: key(
    scalar(parseOwner, {
      wanted: "two numbers such as '0:0'",
      type: 'UID:GID',
      json: { type: 'string', pattern: String.raw`^[0-9]{1,10}:[0-9]{1,10}$|\$\{` },
    }),
    { meaning: 'Owner of the file or the top directory', example: "'0:0'" },
  ),
  base: key(flag(), {
    meaning: '`lxc:` only: a stopped container that `lxc-copy --snapshot` clones',
    standard: '`false`',
    example: 'true',
  }),
  level: key(count(), { meaning: 'How hard to compress, for targets that do', example: '9' }),
  record: key(text('a path', 'path'), {
    meaning: 'Where the record of the deployment lies in its tree; `none` for beside it only',
    standard: '`.deployment.json` in a tree that is written to in service, else `none`',
    example: 'baserock/deployment.meta',
  }),
  parameters: key(parameters, {
    meaning:
      'Parameters of the deployment; those of a deployment outdo those of `deploy-defaults` one by one',
    example: '{hostname: web1}',
    type: 'text for each name',
  }),
};

const selector = scalar(readSelector, {
  wanted: 'a reference or a digest',
  type: 'reference, digest',
  json: { type: ['string', 'integer'], minLength: 1 },
});

const nestedSettings = z.strictObject(
  { image: selector, path: text('a path in the tree', 'path') },
  { error: 'an image and a path' },
);

export const deploymentSettings = z.strictObject(
  {
    image: needed(selector, {
      meaning: 'What is put in service: an image of this configuration, or one that the store has',
      standard: 'has to be there',
      example: 'nova:29.1',
    }),
    target: needed(
      pattern(/^[a-z][a-z0-9-]*:./s, {
        wanted: 'a target, kind:rest',
        type: 'target',
        json: { type: 'string', pattern: String.raw`^[a-z][a-z0-9-]*:.|\$\{` },
      }),
      {
        meaning: 'Where; `cellar help names` lists the kinds',
        standard: 'has to be there',
        example: 'dir:/openstack/venvs/nova',
      },
    ),
    nested: key(z.record(deploymentName, nestedSettings, mapping), {
      meaning:
        'Archives of other images within the tree, such as an initramfs; each has `image` and `path`, whose suffix (`.gz`, `.xz`, `.zst`) says how it is packed',
      example: '{initrd: {image: initramfs, path: boot/initramfs.gz}}',
      type: 'image and path for each name',
    }),
    groups: key(some(groupName), { meaning: 'Groups of deployments it belongs to', example: '[control]' }),
    ...common,
  },
  mapping,
);

export type DeploymentSettings = z.output<typeof deploymentSettings>;

export const deployDefaultSettings = z.strictObject(common, mapping);

export type DeployDefaultSettings = z.output<typeof deployDefaultSettings>;

function readSelector(given: string): string | undefined {
  try {
    parseSelector(given);
    return given;
  } catch (error) {
    if (isCellarError(error)) return undefined;
    throw error;
  }
}
