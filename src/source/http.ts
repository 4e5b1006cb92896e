/**
 * One file behind an http or https URL: an archive that becomes a tree, or any file. By its suffix it is known which;
 * `tar+https://…`, `squashfs+https://…` and `file+https://…` say it where the name does not.
 *
 * Revision: a strong ETag; else a weak one, the date and the size together; else nothing tells two versions apart,
 * and each look counts as new.
 */
import { askHeaders, firstToAnswer, knownOf, offered, onlyPlatform, unknowableRevision } from './ask.ts';
import type { Validators } from './ask.ts';
import { gone, invalid, nameOfUrl, parseHttpUrl, shapeOfName, splitShape, type Shape } from './location.ts';
import type { Driver, Offer, Query, Source, SourceOptions, Surroundings } from './port.ts';

export const httpDriver: Driver = {
  name: 'http',
  open: openHttp,
};

/** Offer of one file at any of `urls`, which hold the same. @throws E_SOURCE_GONE and what `askHeaders` does */
export async function offerFile(
  file: { location: string; urls: readonly URL[]; name: string; shape: Shape },
  query: Query,
  surroundings: Surroundings,
): Promise<Offer> {
  const { location, name, shape } = file;
  const platform = onlyPlatform(query);
  const known = knownOf(query, platform);
  const { answer, place, others } = await firstToAnswer(file.urls, location, (url) =>
    askHeaders(url.href, surroundings, known),
  );
  const offer = { platform, kind: shape.kind, labels: {} };
  if (answer.state === 'gone') throw gone(location, 'the server does not have it');
  if (answer.state === 'unchanged') return { ...offer, ...known!, unchanged: true, parts: [] };
  const { size, validators } = answer;
  return offered(
    {
      ...offer,
      ...validators,
      revision: revisionOf(validators, size),
      parts: [
        {
          role: 'content',
          name,
          ...(size === undefined ? {} : { size }),
          ...(shape.format === undefined ? {} : { format: shape.format }),
          from: { type: 'http', urls: [place, ...others].map((url) => url.href) },
        },
      ],
    },
    known,
  );
}

/** A mirror is the URL of the same file, or, ending in a slash, of the directory it lies in. */
function openHttp(location: string, { mirrors }: SourceOptions): Source {
  const { shape, rest } = splitShape(location);
  const url = parseHttpUrl(rest, location);
  const name = nameOfUrl(url);
  if (name === '') throw invalid(location, 'the URL names a directory, not a file');
  const urls = [url, ...mirrors.map((mirror) => mirrorOf(mirror, name))];
  const file = { location, urls, name, shape: shape ?? shapeOfName(name) };
  return {
    origin: url.origin,
    look: async (query, surroundings) => [await offerFile(file, query, surroundings)],
    async [Symbol.asyncDispose]() {},
  };
}

function mirrorOf(text: string, name: string): URL {
  const url = parseHttpUrl(text, text);
  if (nameOfUrl(url) === '') url.pathname += name;
  return url;
}

function revisionOf({ etag, lastModified }: Validators, size: number | undefined): string {
  if (etag !== undefined && !etag.startsWith('W/')) return etag;
  if (etag === undefined && lastModified === undefined) return unknowableRevision();
  return [etag, lastModified, size].filter((value) => value !== undefined).join(' ');
}
