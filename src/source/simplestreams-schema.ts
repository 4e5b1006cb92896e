/**
 * What simplestreams servers for Incus and LXD publish. Only what is used is checked, and of thousands of products only
 * the one that is wanted, and of that only the version, so that an oddity elsewhere in a file does no harm.
 */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { Digest } from '../core/digest.ts';
import { junk } from './location.ts';

const text = z
  .string()
  .max(1000)
  .regex(/^\P{Cc}*$/u, 'holds control characters');
const digest = z.string().regex(/^[0-9a-f]{64}$/, 'is no SHA-256');

const index = z.object({ format: z.literal('index:1.0'), index: z.record(text, z.unknown()) });

const indexEntry = z.object({
  datatype: z.literal('image-downloads'),
  path: text,
  products: z.array(text).optional(),
});

const products = z.object({ format: z.literal('products:1.0'), products: z.record(text, z.unknown()) });

const item = z.object({
  ftype: text,
  path: text,
  size: z.int().nonnegative().optional(),
  sha256: digest.optional(),
  combined_sha256: digest.optional(),
  combined_rootxz_sha256: digest.optional(),
  combined_squashfs_sha256: digest.optional(),
});

const product = z.object({
  arch: text,
  os: text.optional(),
  release: text.optional(),
  variant: text.optional(),
  support_eol: text.optional(),
  versions: z.record(text, z.unknown()),
});

const version = z.object({ items: z.record(text, z.unknown()) });

export type Product = z.infer<typeof product>;
export type Item = z.infer<typeof item>;

/** The files that list images for download. @throws E_HTTP_BODY; so do all of these, naming `url` */
export function parseIndex(bytes: Buffer, url: string): { path: string; products: readonly string[] }[] {
  const entries = Object.values(parse(index, fromJson(bytes, url), url).index);
  return entries
    .filter((entry) => (entry as { datatype?: unknown } | null)?.datatype === 'image-downloads')
    .map((entry) => parse(indexEntry, entry, url))
    .map(({ path, products }) => ({ path, products: products ?? [] }));
}

/** Products by name, each to be read with {@link parseProduct}. */
export function parseProducts(bytes: Buffer, url: string): Map<string, unknown> {
  return new Map(Object.entries(parse(products, fromJson(bytes, url), url).products));
}

/** Empty for what has none. */
export function aliasesOf(value: unknown): string[] {
  const aliases = (value as { aliases?: unknown } | null)?.aliases;
  return typeof aliases === 'string' ? aliases.split(',').map((alias) => alias.trim()) : [];
}

export function parseProduct(value: unknown, url: string): Product {
  return parse(product, value, url);
}

/** What one version of a product consists of, each to be found with {@link itemOf}. */
export function parseItems(value: unknown, url: string): unknown[] {
  return Object.values(parse(version, value, url).items);
}

/** The item with the first of these file types that is there. Two that differ leave open which is meant. */
export function itemOf(items: readonly unknown[], ftypes: readonly string[], url: string): Item | undefined {
  for (const ftype of ftypes) {
    const [first, ...more] = items
      .filter((value) => (value as { ftype?: unknown } | null)?.ftype === ftype)
      .map((value) => parse(item, value, url));
    if (first === undefined) continue;
    if (more.every((other) => isDeepStrictEqual(other, first))) return first;
    throw junk(url, `a version has ${more.length + 1} different items of type ${ftype}`);
  }
  return undefined;
}

/** SHA-256 of the metadata followed by the root, by which Incus and LXD know an image. */
export function fingerprintOf(metadata: Item, root: Item | undefined): Digest | undefined {
  if (root === undefined) return metadata.sha256;
  if (root.ftype === 'squashfs') return metadata.combined_squashfs_sha256;
  return metadata.combined_rootxz_sha256 ?? metadata.combined_sha256;
}

function fromJson(bytes: Buffer, url: string): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    throw junk(url, 'it is not JSON');
  }
}

function parse<T>(schema: z.ZodType<T>, value: unknown, url: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue!.path.map(String).join('.').slice(0, 200) || 'it';
  throw junk(url, `${where}: ${issue!.message}`);
}
