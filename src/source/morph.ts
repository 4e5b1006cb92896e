/**
 * Artifact caches of morph: `GET /1.0/artifacts?filename=NAME`. Artifacts are named `<key>.<kind>.<name>`; chunks and
 * systems are archives, strata are lists. Only 404 and 410 mean that an artifact is absent; any other failure is one.
 *
 *   morph:http://host:8080[/prefix]#NAME
 *
 * Revision: as of any file over http.
 */
import { askHeaders } from './ask.ts';
import { offerFile } from './http.ts';
import { invalid, parseBases, shapeOfName, type Shape } from './location.ts';
import type { Driver, Offer, Part, Source, SourceOptions, Surroundings } from './port.ts';

export const morphDriver: Driver = {
  name: 'morph',
  open: openMorph,
};

/** @throws E_SOURCE_INVALID */
export function parseMorphLocation(location: string): { server: string; name: string } {
  const [, server, name] = /^morph:(https?:\/\/[^#]+)#([^#]+)$/i.exec(location) ?? [];
  if (server === undefined || name === undefined || !/^[\w+~:@-][\w.+~:@-]*$/.test(name))
    throw invalid(location, 'write morph:http://HOST:PORT#NAME, where NAME is that of an artifact');
  return { server, name };
}

function openMorph(location: string, { mirrors }: SourceOptions): Source {
  const { server, name } = parseMorphLocation(location);
  const servers = parseBases([server, ...mirrors], location);
  return {
    origin: servers[0]!.origin,
    async look(query, surroundings) {
      const urls = servers.map((base) => artifactUrl(base, name));
      const offer = await offerFile({ location, urls, name, shape: shapeOf(name) }, query, surroundings);
      return [await withMetadata(offer, name, surroundings)];
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** Metadata belongs to the artifact or to its key, where there is some. */
async function withMetadata(offer: Offer, name: string, surroundings: Surroundings): Promise<Offer> {
  const content = offer.parts[0]?.from;
  if (content?.type !== 'http') return offer;
  const [, key] = /^([0-9a-f]{64})\./.exec(name) ?? [];
  for (const twin of [name, ...(key === undefined ? [] : [key])].map((stem) => `${stem}.meta`)) {
    const urls = content.urls.map((url) => artifactUrl(new URL(url), twin).href);
    const answer = await askHeaders(urls[0]!, surroundings);
    if (answer.state !== 'there') continue;
    const size = answer.size === undefined ? {} : { size: answer.size };
    const part: Part = { role: 'attachment', name: 'morph.meta', ...size, from: { type: 'http', urls } };
    return { ...offer, parts: [...offer.parts, part] };
  }
  return offer;
}

function shapeOf(name: string): Shape {
  if (/^[0-9a-f]{64}\.(?:chunk|system)\./.test(name)) return { kind: 'tree', format: 'tar' };
  return shapeOfName(name);
}

/** `base` is a server, or the URL of another of its artifacts. */
function artifactUrl(base: URL, name: string): URL {
  const url = new URL(base);
  url.pathname = `${base.pathname.replace(/\/1\.0\/artifacts$|\/+$/, '')}/1.0/artifacts`;
  url.search = `?filename=${encodeURIComponent(name)}`;
  return url;
}
