/** What cellar.yaml may say, from its schema: the JSON Schema for editors, and the tables of the reference page. */
import { z } from 'zod';
import { deployDefaultSettings, deploymentSettings } from '../src/config/deployment-schema.ts';
import { keyDocs, scalarDocs } from '../src/config/fields.ts';
import {
  certificateSettings,
  cosignSettings,
  credentialSettings,
  defaultSettings,
  fileSettings,
  imageSettings,
  storeSettings,
} from '../src/config/schema.ts';

/** Draft 2020-12. */
export function configJsonSchema(): string {
  const schema = z.toJSONSchema(fileSettings, {
    io: 'input',
    reused: 'inline',
    override({ zodSchema, jsonSchema }) {
      const type = zodSchema as unknown as z.ZodType;
      const scalar = scalarDocs.get(type);
      if (scalar !== undefined) {
        for (const name of Object.keys(jsonSchema)) delete jsonSchema[name];
        Object.assign(jsonSchema, structuredClone(scalar.json));
      }
      const doc = keyDocs.get(type);
      if (doc !== undefined) jsonSchema.description = doc.meaning.replaceAll('`', "'");
      Object.assign(jsonSchema, combinations.get(type));
    },
  });
  const whole = JSON.parse(JSON.stringify({ title: 'cellar.yaml', ...schema })) as Schema;
  allowEmpty(whole);
  // A file of nothing but comments is read as an empty one.
  whole.type = ['object', 'null'];
  return `${JSON.stringify(whole, undefined, 2)}\n`;
}

/** What the checks of these demand beyond their keys. */
const combinations = new Map<unknown, object>([
  [
    cosignSettings,
    {
      oneOf: [
        { required: ['key'], maxProperties: 1 },
        { required: ['trust-root', 'identity', 'issuer'], maxProperties: 3 },
      ],
    },
  ],
  [
    credentialSettings,
    {
      oneOf: [
        { required: ['username', 'password-file'], maxProperties: 2 },
        { required: ['username', 'password-env'], maxProperties: 2 },
        { required: ['token-file'], maxProperties: 1 },
        { required: ['token-env'], maxProperties: 1 },
      ],
    },
  ],
]);

interface Schema {
  readonly anyOf?: readonly Schema[];
  readonly properties?: Record<string, Schema>;
  readonly required?: readonly string[];
  additionalProperties?: boolean | Schema;
  type?: string | readonly string[];
  readonly description?: string;
}

/** A key without a value counts as left out, where it may be; names that people choose may always be. */
function allowEmpty(schema: Schema): void {
  const { properties = {}, required = [], additionalProperties, anyOf = [] } = schema;
  for (const [name, property] of Object.entries(properties)) {
    allowEmpty(property);
    if (required.includes(name)) continue;
    const { description, ...value } = property;
    properties[name] = {
      ...(description === undefined ? {} : { description }),
      anyOf: [...(value.anyOf ?? [value]), { type: 'null' }],
    };
  }
  for (const one of anyOf) allowEmpty(one);
  if (typeof additionalProperties !== 'object') return;
  allowEmpty(additionalProperties);
  schema.additionalProperties = { anyOf: [additionalProperties, { type: 'null' }] };
}

/** The lines of the reference page, below its title. */
export function configLines(
  table: (head: readonly string[], rows: readonly (readonly string[])[]) => string[],
): string[] {
  const keys = (schema: z.ZodObject): string[] => [
    ...table(['Key', 'Value', 'Default', 'Meaning', 'Example'], rowsOf(schema)),
    '',
  ];
  return [
    ...introduction,
    '## The file',
    '',
    ...keys(fileSettings),
    '## store',
    '',
    ...keys(storeSettings),
    '## images',
    '',
    'Each entry stands under the reference that the image is kept as; the tag `latest` may be left out.',
    '',
    ...keys(imageSettings),
    '## defaults',
    '',
    'What an image does not say itself. The same keys mean the same:',
    `${Object.keys(defaultSettings.shape)
      .map((name) => `\`${name}\``)
      .join(', ')}.`,
    '',
    '## deployments',
    '',
    'What `cellar plan` shows and `cellar apply` does, one after the other in this order. Each stands under a name, by which,',
    'or by one of its groups, it can be applied alone.',
    '',
    ...keys(deploymentSettings),
    '## deploy-defaults',
    '',
    'What a deployment does not say itself. The same keys mean the same:',
    `${Object.keys(deployDefaultSettings.shape)
      .map((name) => `\`${name}\``)
      .join(', ')}.`,
    '',
    ...parameters,
    '## cosign',
    '',
    'Either `key`, or the other three.',
    '',
    ...keys(cosignSettings),
    '## client-certificate',
    '',
    ...keys(certificateSettings),
    '## credentials',
    '',
    'Either `username` and one of the two passwords, or one of the two tokens. A secret itself is refused, here and in URLs.',
    '',
    ...keys(credentialSettings),
    ...values,
  ];
}

function rowsOf({ shape }: z.ZodObject): string[][] {
  return Object.entries(shape).map(([name, schema]) => {
    const type = schema as z.ZodType;
    const doc = keyDocs.get(type);
    if (doc === undefined) throw new Error(`nothing is said of the key ${name}`);
    const { meaning, standard = '', example, type: said } = doc;
    const bare = type instanceof z.ZodOptional ? (type.unwrap() as z.ZodType) : type;
    const value = said ?? scalarDocs.get(bare)?.type ?? `[keys](#${name})`;
    return [`\`${name}\``, value, standard, meaning, example === undefined ? '' : `\`${name}: ${example}\``];
  });
}

const introduction = [
  '`cellar.yaml` lists the images that `cellar sync` keeps up to date, and what `cellar apply` puts in service. It is',
  '`--config FILE`, else `./cellar.yaml`, else `/etc/cellar/cellar.yaml`. [cellar.schema.json](cellar.schema.json) is its',
  'JSON Schema; editors that know YAML take it from a first line such as',
  '`# yaml-language-server: $schema=path/to/cellar.schema.json`.',
  '',
  '```yaml',
  'version: 1',
  'store: { max-size: 200GiB, keep: 3, grace: 1h }',
  'defaults: { refresh: 6h, labels: { team: infra } }',
  'variables: { release: trixie, mirror: https://images.example.org }',
  'include: [images/*.yaml]',
  'groups:',
  '  base: ["debian:13", tools]',
  'images:',
  '  debian:13:',
  '    source: ${mirror}/debian/${release}/rootfs.tar.xz',
  '    mirrors:',
  '      - https://other.example.org/debian/${release}/rootfs.tar.xz',
  '    verify: signature',
  '    keyring: keys/images.gpg',
  '    expires: 90d',
  '    pin: true',
  '  nginx:',
  '    source: docker://docker.io/library/nginx:1.29',
  '    platform: [linux/amd64, linux/arm64]',
  '    groups: web',
  '  tools:',
  '    source: https://internal.example.org/tools.tar.zst',
  '    credentials: { username: reader, password-file: /etc/cellar/password }',
  'deployments:',
  '  nginx:',
  '    image: nginx',
  '    target: podman:nginx',
  '    on-change: systemctl restart nginx',
  '```',
  '',
  'A mistake is told with its place, `cellar.yaml:12:5`, and what was expected there. A key that is set twice, in one file',
  'or in two, is a mistake, too. `cellar add` writes entries and leaves comments and order alone.',
  '',
];

const parameters = [
  'A parameter has the value of the last of these that gives one:',
  '',
  '1. `parameters` of `deploy-defaults`',
  '2. `parameters` of the deployment',
  '3. the environment: `CELLAR_SET_<NAME>_<KEY>`, in capitals and with `_` for everything but letters and digits, so that',
  '   `CELLAR_SET_WEB_1_MACHINE_ID` is `machine-id` of `web-1`. Only parameters that stand in the configuration can be set',
  '   so; any other variable that begins like this, or one that may mean two of them, is a mistake',
  '4. `NAME.KEY=VALUE` after `cellar plan` or `cellar apply`; NAME is one of the deployments that are meant, in full',
  '',
  'Secrets come in as `${env:NAME}`; in records and plans the values of parameters whose names say password, secret, token',
  'or key are replaced.',
  '',
];

const values = [
  '## Values',
  '',
  '| Value | Is |',
  '| --- | --- |',
  '| time | a number with `ms`, `s`, `m` or `min`, `h`, `d`, `w` or `y` (365 days) after it: `90s`, `6h`, `1.5d` |',
  '| size | bytes, or a number with a unit: `KiB`, `MiB`, `GiB`, `TiB` (also `K`, `M`, `G`, `T`) in powers of 1024, `kB`, `MB`, `GB`, `TB` in powers of 1000 |',
  '| epoch | whole seconds since 1970, as `date +%s` prints them |',
  '| platform | `os/arch` or `os/arch/variant`: `linux/arm64`, `linux/arm/v7` |',
  '| file | a path; a relative one begins at the directory of the file that it stands in, and so does a source that is a path |',
  '| text | as it is written: `1.10` stays `1.10`, quoted or not |',
  '',
  '`${name}` in any value, or in the name of an image, stands for a variable, `${env:NAME}` for one of the environment, and',
  '`$${` for `${` itself. A variable may be made of others. In `include` only those of the environment can be used.',
  '',
  'A key without a value counts as left out. Anchors and aliases work; merge keys (`<<`) do not, `defaults` are for that.',
  '',
  '## Names for files',
  '',
  'A file that is kept by where it came from is `files/<host>/<path>`. Of a component of the path stay lower-case letters,',
  'digits, and between two of them one `.`, one `_` or any number of `-`. Every other byte (UTF-8, after decoding `%xx`) is',
  '`__` and two hex digits. Where that would begin a component, `0` comes before it; a `0` that the file itself has there is',
  'written as `__30` then. No two URLs of one host get the same name, and one that ends in `/` gets `index.html`.',
  '',
  '| URL | Reference |',
  '| --- | --- |',
  '| `https://dl.k8s.io/v1.34.1/kubectl` | `files/dl.k8s.io/v1.34.1/kubectl` |',
  '| `https://host:8443/Linux/a%2Bb?c=d` | `files/host__3a8443/0__4cinux/a__2bb__3fc__3dd` |',
  '',
  '## cellar.lock',
  '',
  '`cellar sync` writes `cellar.lock` beside the first file: for each image and platform the digest of its content, and',
  'where that came from. `cellar sync --locked` takes exactly this: it leaves alone what the store has so already, and fails',
  'with `E_LOCK_MISMATCH` where a source offers something else. It is JSON, sorted by reference and platform and written the',
  'same way every time, so that it can be kept beside `cellar.yaml`. What the store lacks, because it could not be fetched or',
  'is for another platform of machines that share the file, stays in it until its source is another.',
  '',
  '| Member | Is |',
  '| --- | --- |',
  '| `version` | 1 |',
  '| `images` | for each reference, for each platform, an image |',
  '| `source` | where it came from, without secrets |',
  '| `kind` | `tree`, `oci` or `file` |',
  '| `content` | digest of the tree, of the OCI manifest, or of the file |',
  '| `sha256` | digest of what was transferred, where that was one file |',
  '| `revision` | what the source called this version |',
  '| `verified` | `signature`, `checksum` or `no` |',
];
