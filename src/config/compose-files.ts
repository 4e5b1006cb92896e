/** What `cellar compose` reads beside the images: rules that split a tree, and lists of devices. */
import { z } from 'zod';
import { isEncodable } from '../core/rdev.ts';
import type { Device } from '../tree/compose.ts';
import { pathInTree } from '../tree/lookup.ts';
import type { SplitRule } from '../tree/split.ts';
import { fromText } from '../core/bytes.ts';
import { requireChecked } from './check.ts';
import { convert, parseConfigFile, type Plain } from './document.ts';
import { count, pattern, scalar, some, text } from './fields.ts';

/** One YAML or JSON file of a shape of its own. @throws E_CONFIG with every complaint and its place */
export function readChecked<T>(path: string, schemaFor: (value: Plain | undefined) => z.ZodType<T>): T {
  const file = parseConfigFile(path);
  const converted = convert(file, file.document.contents, (given) => given);
  return requireChecked(schemaFor(converted.value), converted);
}

/** `- {artifact: devel, include: ['usr/include/.*']}`, in the order in which they are tried. @throws E_CONFIG */
export function readSplitRules(path: string): SplitRule[] {
  return readChecked(path, (value) => (Array.isArray(value) ? rules : ruleFile));
}

/** A list of devices, or a description with `devices` in it; one with `build-mode: bootstrap` contributes none. @throws E_CONFIG */
export function readDevices(path: string): Device[] {
  return readChecked(path, (value) => (Array.isArray(value) ? devices : deviceFile));
}

/** Paths are bytes, and so is what is compared with them. */
const expression = scalar(
  (given) => {
    try {
      return new RegExp(`^(?:${fromText(given)})`);
    } catch {
      return undefined;
    }
  },
  { wanted: 'a regular expression', type: 'regular expression', json: { type: 'string', format: 'regex' } },
);

/** A leading dash, as in `-runtime`, says that the name follows another. */
const artifact = pattern(/^-?[a-z0-9]+(?:[._-]+[a-z0-9]+)*$/, {
  wanted: 'a name of lower-case letters, digits and . _ -',
  type: 'name',
}).transform((name) => name.replace(/^-/, ''));

const rules = z
  .array(
    z.strictObject(
      { artifact, include: some(expression) },
      { error: "a rule with 'artifact' and 'include'" },
    ),
    { error: 'a list of rules' },
  )
  .min(1, 'at least one rule');

const ruleFile = z.object({ products: rules }).transform((of) => of.products);

const device = z
  .strictObject(
    {
      type: scalar((given) => ({ c: 'char', b: 'block' })[given] as Device['type'] | undefined, {
        wanted: 'c or b',
        type: 'c, b',
        json: { enum: ['c', 'b'] },
      }),
      major: count(),
      minor: count(),
      uid: count(),
      gid: count(),
      permissions: scalar(
        (given) =>
          /^(?:0o)?[0-7]{1,5}$/.test(given) ? Number.parseInt(given.replace('0o', ''), 8) : undefined,
        {
          wanted: "octal permission bits such as '0666'",
          type: 'octal',
          json: { type: ['string', 'integer'] },
        },
      ),
      filename: scalar(pathInTree, { wanted: 'a path in the tree', type: 'path', json: { type: 'string' } }),
    },
    { error: 'a device: type, major, minor, uid, gid, permissions, filename' },
  )
  .refine(({ major, minor }) => isEncodable(major, minor), 'device numbers up to 4095 and 1048575')
  .transform(({ permissions, filename, ...rest }): Device => ({
    ...rest,
    mode: permissions & 0o7777,
    path: filename,
  }));

const devices = z.array(device, { error: 'a list of devices' });

const deviceFile = z
  .object({ devices: devices.optional(), 'build-mode': text().optional() })
  .transform((of) => (of['build-mode'] === 'bootstrap' ? [] : (of.devices ?? [])));
