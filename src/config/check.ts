/** What the schema finds wrong, told as a person would: where, what was found, what was expected, what was meant. */
import { z } from 'zod';
import { nearest } from '../core/nearest.ts';
import type { Converted, Path, Plain } from './document.ts';
import { configError, type Complaint } from './place.ts';

/** The value as the schema makes it, or every complaint. */
export function check<T>(
  schema: z.ZodType<T>,
  converted: Converted,
): { readonly value: T } | { readonly complaints: readonly Complaint[] } {
  const parsed = schema.safeParse(converted.value ?? {});
  if (parsed.success) return { value: parsed.data };
  const complaints = parsed.error.issues.flatMap((issue) => complaintsOf(issue, schema, converted));
  return { complaints: complaints.toSorted((a, b) => a.place.line - b.place.line) };
}

/** The value as the schema makes it. @throws E_CONFIG with every complaint */
export function requireChecked<T>(schema: z.ZodType<T>, converted: Converted): T {
  const checked = check(schema, converted);
  if ('value' in checked) return checked.value;
  const [first, ...others] = checked.complaints;
  throw configError(first!, others);
}

function complaintsOf(issue: z.core.$ZodIssue, schema: z.ZodType, converted: Converted): Complaint[] {
  const { path } = issue;
  const place = converted.place(path);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((name) => ({
        place: converted.place([...path, name]),
        ...unknownKey(name, path, keysOf(schemaAt(schema, path))),
      }));
    case 'invalid_key': {
      const wanted = issue.issues[0]?.message ?? 'another name';
      return [{ place, problem: `'${String(path.at(-1))}' in ${show(path.slice(0, -1))} is not ${wanted}` }];
    }
    default: {
      const found = valueAt(converted.value, path);
      if (found === undefined && path.length > 0) {
        const holder = show(path.slice(0, -1));
        return [
          { place, problem: `${holder} lacks '${String(path.at(-1))}'`, hint: `it is ${issue.message}` },
        ];
      }
      const shown = quote(found, path, converted);
      return [{ place, problem: `${show(path)}${shown}: expected ${issue.message}` }];
    }
  }
}

const secretKeys = /^(?:password|passwd|token|secret|bearer)$/;

function unknownKey(name: string, path: Path, known: readonly string[]): { problem: string; hint: string } {
  if (secretKeys.test(name))
    return {
      problem: `${show(path)} has a secret in it, '${name}'`,
      hint: 'put it in a file and write password-file: FILE, or in the environment and write password-env: NAME',
    };
  const near = nearest(name, known);
  return {
    problem: `${show(path)} has no key '${name}'`,
    hint: near === undefined ? `its keys are ${known.join(', ')}` : `did you mean '${near}'?`,
  };
}

/** What is a secret, or may have come from the environment by way of a variable, is not repeated. */
function quote(found: Plain | undefined, path: Path, converted: Converted): string {
  if (typeof found !== 'string' || path.includes('credentials')) return '';
  const raw = converted.raw(path);
  const text = raw?.includes('${') === true ? raw : found;
  return ` is '${text.length > 80 ? `${text.slice(0, 80)}…` : text}'`;
}

function show(path: Path): string {
  if (path.length === 0) return 'the file';
  // Items are counted from one, as people do: `item 2`, `images.web.groups item 1`.
  return path
    .map((key, at) => {
      if (typeof key === 'number') return `${at === 0 ? '' : ' '}item ${key + 1}`;
      return at === 0 ? String(key) : `.${String(key)}`;
    })
    .join('');
}

function valueAt(value: Plain | undefined, path: Path): Plain | undefined {
  return path.reduce<Plain | undefined>(
    (at, name) => (typeof at === 'object' ? (at as Record<PropertyKey, Plain>)[name] : undefined),
    value,
  );
}

function schemaAt(schema: z.core.$ZodType, path: Path): z.core.$ZodType | undefined {
  return path.reduce<z.core.$ZodType | undefined>((at, name) => {
    const bare = unwrapped(at);
    if (bare instanceof z.ZodObject) return bare.shape[String(name)] as z.core.$ZodType | undefined;
    return bare instanceof z.ZodRecord ? bare.valueType : undefined;
  }, schema);
}

function keysOf(schema: z.core.$ZodType | undefined): string[] {
  const bare = unwrapped(schema);
  return bare instanceof z.ZodObject ? Object.keys(bare.shape) : [];
}

function unwrapped(schema: z.core.$ZodType | undefined): z.core.$ZodType | undefined {
  return schema instanceof z.ZodOptional ? schema.unwrap() : schema;
}
