/**
 * Incus and LXD image servers (simplestreams): JSON that names, for each product and version, a metadata archive and a
 * root, or one archive with both, with their sizes and digests.
 *
 *   simplestreams:https://host[/path]#ALIAS[@VERSION]      a product's full name in place of an alias
 *   simplestreams+http://host[/path]#ALIAS                 without TLS
 *
 * Revision: what was asked for, the product, its version and the digests of its files.
 */
import { CellarError } from '../core/errors.ts';
import { canonicalPlatform, type Platform } from '../core/platform.ts';
import { firstToAnswer, isUnchanged, knownOf, offered, validatorsOf, type Validators } from './ask.ts';
import { platformOfArch } from './debian-arch.ts';
import { gone, invalid, junk, parseBases, urlBelow } from './location.ts';
import type { Driver, Offer, Query, Seen, Source, SourceOptions, Surroundings } from './port.ts';
import type { Found, Selector } from './simplestreams-offer.ts';

export const simplestreamsDriver: Driver = {
  name: 'simplestreams',
  open: openSimplestreams,
};

/** @throws E_SOURCE_INVALID */
export function parseSimplestreamsLocation(location: string): { server: string; selector: Selector } {
  const match = /^simplestreams(?:\+(https?))?:(?:(https?):)?\/\/([^#]+)#([^#\s]+)$/i.exec(location);
  const [, outer, inner, rest, fragment = ''] = match ?? [];
  const [, name, version] = /^([^@]+)(?:@([^@]+))?$/.exec(fragment) ?? [];
  if (rest === undefined || name === undefined || (outer && inner && outer !== inner))
    throw invalid(location, 'write simplestreams:https://HOST#ALIAS[@VERSION]');
  const selector = { name, ...(version === undefined ? {} : { version }) };
  return { server: `${inner ?? outer ?? 'https'}://${rest}`, selector };
}

interface Answer {
  readonly found: readonly Found[];
  /** How many products there are, for messages. */
  readonly products: number;
  readonly validators: Validators;
}

const indexLimit = 8 << 20;
const productsLimit = 64 << 20;
const maxFiles = 16;
/** In a message. */
const mostNames = 20;

function openSimplestreams(location: string, { mirrors }: SourceOptions): Source {
  const { server, selector } = parseSimplestreamsLocation(location);
  const servers = parseBases([server, ...mirrors], location);
  return {
    origin: servers[0]!.origin,
    async look(query, surroundings) {
      const schema = await import('./simplestreams-schema.ts');
      const { offerOf } = await import('./simplestreams-offer.ts');
      const known = knownOfAll(query, selector);
      const { answer, place, others } = await firstToAnswer(servers, location, (base) =>
        readStreams(base, { selector, known, schema }, surroundings),
      );
      if (answer === 'unchanged') return known.map(unchanged);
      if (answer === undefined) throw gone(location, 'the server has no streams/v1/index.json');
      const chosen = choose(answer, { location, selector }, query.platforms);
      return chosen.map(([platform, found]) => {
        const offer = offerOf(found, {
          location,
          selector,
          asked: textOf(selector),
          servers: [place, ...others],
        });
        return offered({ ...offer, ...answer.validators, platform }, knownOf(query, platform));
      });
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** What is known of all platforms asked for, if it is: only then can an unchanged file answer for them. */
function knownOfAll(query: Query, selector: Selector): Seen[] {
  if (query.platforms === 'all') return [];
  const known = query.platforms.map((platform) => knownOf(query, platform));
  const isOurs = (seen: Seen | undefined): seen is Seen =>
    seen?.revision.startsWith(`${textOf(selector)} `) === true;
  return known.every(isOurs) ? known : [];
}

/** Loaded when a server is asked, with the library it needs. */
type Schema = typeof import('./simplestreams-schema.ts');

async function readStreams(
  base: URL,
  { selector, known, schema }: { selector: Selector; known: readonly Seen[]; schema: Schema },
  surroundings: Surroundings,
): Promise<Answer | 'unchanged' | undefined> {
  const { client, signal } = surroundings;
  const indexUrl = urlBelow(base, 'streams/v1/index.json', base.href);
  const index = await client.small(indexUrl, { limit: indexLimit, signal });
  if (index === undefined) return undefined;
  const all = schema.parseIndex(index.bytes, indexUrl);
  const named = all.filter(({ products }) => products.includes(selector.name));
  const urls = [
    ...new Set((named.length > 0 ? named : all).map(({ path }) => urlBelow(base, path, indexUrl))),
  ];
  if (urls.length > maxFiles) throw junk(indexUrl, `it names ${urls.length} files of products`);
  if (urls.length === 1 && (await isUnchanged(urls[0]!, known, surroundings))) return 'unchanged';
  const found: Found[] = [];
  let products = 0;
  let validators: Validators = {};
  let lacking: string | undefined;
  for (const url of urls) {
    const answer = await client.small(url, { limit: productsLimit, signal });
    if (answer === undefined) {
      lacking = url;
      continue;
    }
    const file = schema.parseProducts(answer.bytes, url);
    products += file.size;
    if (urls.length === 1) validators = validatorsOf(answer.headers);
    found.push(...findIn(file, { selector, schema, url }));
  }
  // A server that is just being published to, or half a mirror: that does not withdraw anything.
  if (found.length === 0 && lacking !== undefined)
    throw new CellarError('E_HTTP_STATUS', {
      details: { url: lacking, status: 404, problem: ' Not Found' },
      hint: `${indexUrl} names it; when the server is just being published to, a later attempt finds it`,
    });
  return { found, products, validators };
}

/** A full name goes before an alias. Architectures that have no platform here are passed over. */
function findIn(
  file: ReadonlyMap<string, unknown>,
  { selector: { name }, schema, url }: { selector: Selector; schema: Schema; url: string },
): Found[] {
  const ids = file.has(name)
    ? [name]
    : [...file.keys()].filter((id) => schema.aliasesOf(file.get(id)).includes(name));
  return ids.flatMap((id) => {
    const product = schema.parseProduct(file.get(id), url);
    const platform = platformOfArch(product.arch);
    return platform === undefined ? [] : [{ id, platform, product, url }];
  });
}

function choose(
  { found, products }: Answer,
  { location, selector }: { location: string; selector: Selector },
  platforms: Query['platforms'],
): (readonly [Platform, Found])[] {
  if (found.length === 0)
    throw gone(location, `none of its ${products} products is or is called ${selector.name}`);
  const only = (some: readonly Found[]): Found => {
    if (some.length === 1) return some[0]!;
    const names = some.slice(0, mostNames).map(({ id }) => id);
    const more = some.length > mostNames ? ' …' : '';
    throw invalid(location, `several products are called that; name one: ${names.join(', ')}${more}`);
  };
  const byPlatform = Map.groupBy(found, ({ platform }) => platform);
  if (platforms === 'all') return [...byPlatform].map(([platform, some]) => [platform, only(some)]);
  return platforms.map((platform) => {
    const some = found.filter((one) => one.platform === canonicalPlatform(platform));
    if (some.length > 0) return [platform, only(some)];
    const available = [...byPlatform.keys()].join(', ');
    throw new CellarError('E_PLATFORM_UNAVAILABLE', { details: { source: location, platform, available } });
  });
}

function unchanged(seen: Seen): Offer {
  return { ...seen, kind: 'tree', unchanged: true, parts: [], labels: {} };
}

function textOf({ name, version }: Selector): string {
  return version === undefined ? name : `${name}@${version}`;
}
