/**
 * OCI registries. An image is kept byte for byte: its manifest is the content, beside it lie configuration, layers
 * and what refers to it (signatures, attestations); the index it was chosen from is an attachment.
 *
 * Revision: the digest that the tag names, of the index where there is one. What platforms that index has is kept
 * as the ETag, so that headers alone can answer for all of them.
 */
import type { HttpClient, HttpOptions } from '../net/port.ts';
import { createAuthorisedClient } from '../remote/oci/authorised-client.ts';
import { storedCredentials } from '../remote/oci/credentials.ts';
import { getManifest, headManifest, type Registry } from '../remote/oci/registry.ts';
import {
  parseImageLocation,
  parseMirror,
  type ImageLocation,
  type Repository,
} from '../remote/oci/repository.ts';
import { gone } from './location.ts';
import { askAny, preferring, registryPlace, type Asking } from './oci-asking.ts';
import { isSame, offerImages, unchanged } from './oci-offer.ts';
import type { Driver, Offer, Query, Seen, Source, SourceOptions } from './port.ts';

export const ociDriver: Driver = {
  name: 'oci',
  open: openOci,
};

function openOci(location: string, { mirrors, http }: SourceOptions): Source {
  const image = parseImageLocation(location);
  const repositories = [image, ...mirrors.map((mirror) => parseMirror(mirror, image.name))];
  const connections = new WeakMap<HttpClient, readonly Registry[]>();
  return {
    async look(query, surroundings) {
      const { client, signal } = surroundings;
      const registries = connections.get(client) ?? connect(client, repositories, http);
      // Tokens outlive one look.
      connections.set(client, registries);
      return await look({ location, registries, signal }, image, query);
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** Credentials given with the source are the first registry's; mirrors have their own. */
function connect(
  client: HttpClient,
  repositories: readonly Repository[],
  http: HttpOptions,
): readonly Registry[] {
  const authorised = createAuthorisedClient(
    client,
    repositories.map((repository, index) => ({
      repository,
      credentials: async (signal) =>
        (index === 0 ? http.credentials : undefined) ?? (await storedCredentials(repository, { signal })),
    })),
  );
  return repositories.map((repository) => ({ repository, client: authorised }));
}

async function look(asking: Asking, image: ImageLocation, query: Query): Promise<Offer[]> {
  const known = knownOfAll(query);
  if (known.length > 0 && (await isStill(asking, image, known[0]!.revision))) return known.map(unchanged);
  const top = await askAny(asking, (registry) => getManifest(registry, image.reference, asking), {
    isPinned: image.digest !== undefined,
  });
  if (top === undefined) throw gone(asking.location, 'the registry does not have it');
  const nearest = registryPlace(preferring(asking, top.registry));
  return await offerImages(nearest, top.answer, query);
}

/** What is known of everything asked for, if all of it is, and of one revision: then headers can answer for it. */
function knownOfAll({ platforms, known }: Query): readonly Seen[] {
  const [first] = known;
  if (first === undefined) return [];
  const wanted = platforms === 'all' ? (first.etag?.split(' ') ?? [first.platform]) : platforms;
  const found = wanted.map((platform) => known.find((seen) => isSame(seen.platform, platform)));
  return found.every((seen) => seen?.revision === first.revision) ? (found as Seen[]) : [];
}

async function isStill(asking: Asking, image: ImageLocation, revision: string): Promise<boolean> {
  const { signal } = asking;
  const head = await askAny(
    asking,
    async (registry) => {
      const answer = await headManifest(registry, image.reference, signal);
      return answer.state === 'gone' ? undefined : answer;
    },
    { isPinned: image.digest !== undefined },
  );
  if (head === undefined) throw gone(asking.location, 'the registry does not have it');
  return head.answer.digest !== undefined && `sha256:${head.answer.digest}` === revision;
}
