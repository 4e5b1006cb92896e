/**
 * Images that lie on this machine: archives of docker and podman, OCI archives and layouts. They are offered as those
 * of a registry are; their blobs are transferred from where they lie in the file, without a copy beside it.
 *
 * Revision: the digest of the manifest, or of the index, that was chosen.
 */
import { CellarError, isCellarError } from '../core/errors.ts';
import { openDockerArchive } from './docker-archive.ts';
import { openArchive, openDirectory, type ImageFiles } from './image-files.ts';
import { parseLocalImage, type LocalImageLocation } from './image-location.ts';
import { openLayout } from './oci-layout.ts';
import { offerImages } from './oci-offer.ts';
import type { Driver, Offer, Query, Source } from './port.ts';

export const ociArchiveDriver: Driver = {
  name: 'oci-archive',
  open: openLocalImage,
};

function openLocalImage(location: string): Source {
  const image = parseLocalImage(location);
  const opened = new DisposableStack();
  return {
    async look(query, { signal }) {
      const options = { location, signal };
      const files = opened.use(
        image.kind === 'oci' ? openDirectory(image.path, options) : await openArchive(image.path, options),
      );
      try {
        return await lookInto(files, image, { query, ...options });
      } catch (error) {
        throw asLocalProblem(error, location);
      }
    },
    async [Symbol.asyncDispose]() {
      opened.dispose();
    },
  };
}

async function lookInto(
  files: ImageFiles,
  { kind, choice }: LocalImageLocation,
  options: { readonly query: Query; readonly location: string; readonly signal: AbortSignal },
): Promise<Offer[]> {
  const { place, top } =
    kind === 'docker-archive'
      ? await openDockerArchive(files, choice, options)
      : openLayout(files, options.location, choice);
  return await offerImages(place, top, options.query);
}

/** What reads manifests speaks of registries. */
function asLocalProblem(error: unknown, source: string): unknown {
  if (!isCellarError(error, 'E_REGISTRY_INVALID')) return error;
  const problem = String(error.details['problem']);
  const hint = 'write it again with skopeo copy, podman save or docker save';
  return new CellarError('E_ARCHIVE_FORMAT', { details: { source, problem }, hint, cause: error });
}
