/** What a recipe says: how an image is prepared from another, or from nothing. */
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { requireChecked } from '../config/check.ts';
import { convert, nodeOf, parseConfigFile } from '../config/document.ts';
import { count, duration, flag, pattern, scalar, some, text, word } from '../config/fields.ts';
import { variableName } from '../config/variables.ts';
import { pathInTree } from '../tree/lookup.ts';
import { refuseUnknownSettings } from './settings.ts';

/** Kinds of identity that `scrub` removes. */
export const identities = ['machine-id', 'ssh', 'hostname', 'random', 'leases', 'history', 'logs'] as const;

export type Identity = (typeof identities)[number];

const mapping = { error: 'keys with values' } as const;

const path = scalar(pathInTree, { wanted: 'a path in the tree', type: 'path', json: { type: 'string' } });

const octal = scalar((given) => (/^0?[0-7]{3,4}$/.test(given) ? Number.parseInt(given, 8) : undefined), {
  wanted: 'octal permission bits such as 0755',
  type: 'octal',
  json: { type: ['string', 'integer'] },
});

const owner = pattern(/^[A-Za-z0-9_][A-Za-z0-9_.-]*(?::[A-Za-z0-9_][A-Za-z0-9_.-]*)?$/, {
  wanted: 'user:group, by name or number',
  type: 'user:group',
});

const file = z
  .strictObject(
    {
      dest: path,
      host: text('a path on this machine').optional(),
      from: text('a path beside the recipe').optional(),
      content: z.string({ error: 'text' }).optional(),
      owner: owner.optional(),
      mode: octal.optional(),
      optional: flag().optional(),
    },
    mapping,
  )
  .refine(
    ({ host, from, content }) => [host, from, content].filter((one) => one !== undefined).length === 1,
    "one of 'host', 'from' and 'content'",
  );

export type RecipeFile = z.output<typeof file>;

const network = z.strictObject(
  {
    interface: pattern(/^[A-Za-z0-9*?._-]{1,32}$/, { wanted: 'the name of an interface', type: 'name' }),
    dhcp: flag().optional(),
    address: some(text('an address such as 10.0.0.2/24')).optional(),
    gateway: some(text('an address')).optional(),
    dns: some(text('an address')).optional(),
  },
  mapping,
);

export type Network = z.output<typeof network>;

const hostname = pattern(/^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,62}[A-Za-z0-9])?$/, {
  wanted: 'a host name',
  type: 'host name',
});

const configure = z.strictObject(
  {
    hostname: hostname.optional(),
    'machine-id': pattern(/^(?:new|[0-9a-f]{32})$/, {
      wanted: "'new', or 32 hex digits",
      type: 'new, machine id',
    }).optional(),
    'ssh-keys': word(['new']).optional(),
    hosts: z.record(z.string(), some(text('a host name')), mapping).optional(),
    fstab: z.array(text('a line of fstab')).optional(),
    network: z.array(network).optional(),
    authorized_keys: z.record(z.string(), some(text('a public key')), mapping).optional(),
    install: some(text('the path of a list of files')).optional(),
  },
  mapping,
);

export type Configure = z.output<typeof configure>;

const packageName = pattern(/^[a-z0-9][a-z0-9+.-]*(?::[a-z0-9]+)?(?:[=/][A-Za-z0-9.+:~-]+)?$/, {
  wanted: 'the name of a package',
  type: 'package',
});

const commands = some(text('a command'));

const recipe = z
  .strictObject(
    {
      reference: text('a reference').optional(),
      base: text('a reference').optional(),
      bootstrap: text('a command').optional(),
      platform: text('a platform').optional(),
      variables: z
        .record(z.string().regex(variableName, 'a name of letters, digits, _ and -'), z.string(), mapping)
        .optional(),
      environment: z.record(z.string(), z.string({ error: 'text' }), mapping).optional(),
      files: z.array(file).optional(),
      pre: commands.optional(),
      packages: some(packageName).optional(),
      run: commands.optional(),
      post: commands.optional(),
      scrub: z
        .union([flag(), z.array(word(identities))], { error: `true, or a list of ${identities.join(', ')}` })
        .optional(),
      configure: configure.optional(),
      network: flag().optional(),
      timeout: duration().optional(),
      clock: count().optional(),
      labels: z.record(z.string(), z.string(), mapping).optional(),
    },
    mapping,
  )
  .refine(({ base, bootstrap }) => (base === undefined) !== (bootstrap === undefined), {
    error: "one of 'base' and 'bootstrap'",
  });

export interface Recipe extends z.output<typeof recipe> {
  /** Of the recipe itself: what `from` and `install` are relative to, and where a bootstrap command starts. */
  readonly directory: string;
  readonly variables: Readonly<Record<string, string>>;
}

/**
 * `${name}` in any value but commands is what `settings`, else the recipe's own `variables`, say; other `${…}` stay.
 * Commands find them in their environment. @throws E_CONFIG
 */
export function readRecipe(file: string, settings: Readonly<Record<string, string>> = {}): Recipe {
  const document = parseConfigFile(file);
  const own = convert(document, nodeOf(document, 'variables'), (given) => given).value;
  const declared = typeof own === 'object' && !Array.isArray(own) ? (own as Record<string, string>) : {};
  refuseUnknownSettings(document, Object.keys(declared), Object.keys(settings));
  const defined = { ...declared, ...settings };
  const plain = convert(document, document.document.contents, (given) => given);
  const filled = convert(document, document.document.contents, (given) => fill(given, defined));
  const keepCommands = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    const raw = plain.value as Readonly<Record<string, unknown>>;
    const kept = ['bootstrap', 'pre', 'run', 'post'].flatMap((key) =>
      key in value ? [[key, raw[key]]] : [],
    );
    return { ...value, ...Object.fromEntries(kept) };
  };
  const value = keepCommands(filled.value) as typeof filled.value;
  const checked = requireChecked(recipe, { ...filled, value });
  return { ...checked, directory: dirname(resolve(file)), variables: defined };
}

function fill(given: string, variables: Readonly<Record<string, string>>): string {
  return given.replace(/\$\{([A-Za-z_][A-Za-z0-9_-]*)\}/g, (whole, name: string) =>
    Object.hasOwn(variables, name) ? variables[name]! : whole,
  );
}
