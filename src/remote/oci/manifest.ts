/**
 * The JSON of registries: indexes and image manifests, OCI's and Docker's. They are read into one shape; their bytes
 * are what is kept and hashed.
 */
import { isDigest, sha256, type Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import { canonicalPlatform, isPlatform, type Platform } from '../../core/platform.ts';
import { isObject } from './json.ts';

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  /** Where else it is to be had; http and https only. */
  readonly urls: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly artifactType?: string;
  /** Canonical; absent where it is unknown. */
  readonly platform?: Platform;
}

export interface Manifest {
  readonly bytes: Buffer;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly artifactType?: string;
  /** Of an index; else empty. */
  readonly manifests: readonly Descriptor[];
  /** Of an image; an index has none. */
  readonly config?: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor;
}

export const manifestLimit = 4 << 20;

const indexTypes: readonly string[] = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];
const imageTypes: readonly string[] = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];
const knownTypes = [...indexTypes, ...imageTypes];
/** What to send as `Accept`. */
export const manifestTypes = knownTypes.join(', ');

const configTypes: readonly string[] = [
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
];

export function isIndex({ mediaType }: Pick<Descriptor, 'mediaType'>): boolean {
  return indexTypes.includes(mediaType);
}

/** Does it describe a container image, and not a signature or a chart? */
export function isImageConfig({ mediaType }: Pick<Descriptor, 'mediaType'>): boolean {
  return configTypes.includes(mediaType);
}

/** A layer that registries are not to hold: it is fetched from its own URLs. */
export function isForeignLayer({ mediaType }: Pick<Descriptor, 'mediaType'>): boolean {
  return /\.nondistributable\.|\.foreign\./.test(mediaType);
}

/**
 * @param given where it comes from, for messages, and the `Content-Type` it came with
 * @throws E_MANIFEST_UNSUPPORTED for a kind that is not kept, E_REGISTRY_INVALID for what is none
 */
export function parseManifest(
  bytes: Buffer,
  given: { url: string; contentType?: string | undefined },
): Manifest {
  const { url } = given;
  const refuse = (problem: string): CellarError =>
    new CellarError('E_REGISTRY_INVALID', { details: { url, problem } });
  const document = parseDocument(bytes, refuse);
  const mediaType = mediaTypeOf(document, { ...given, refuse });
  const index = isIndex({ mediaType });
  // One document that is both could be read as one thing here and as another elsewhere.
  if (index ? 'layers' in document || 'config' in document : 'manifests' in document)
    throw refuse('a manifest that is both an index and an image');
  const descriptors = (value: unknown): Descriptor[] => {
    if (!Array.isArray(value)) throw refuse('a manifest without its list of contents');
    return value.map((item) => parseDescriptor(item, refuse));
  };
  const artifactType = textOf(document['artifactType']);
  return {
    bytes,
    digest: sha256(bytes),
    mediaType,
    annotations: annotationsOf(document['annotations']),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(index
      ? { manifests: descriptors(document['manifests']), layers: [] }
      : {
          manifests: [],
          config: parseDescriptor(document['config'], refuse),
          layers: descriptors(document['layers']),
        }),
    ...(isObject(document['subject']) ? { subject: parseDescriptor(document['subject'], refuse) } : {}),
  };
}

/** Platform of a descriptor or of an image's configuration; both name its fields alike. */
export function platformOf(value: unknown): Platform | undefined {
  if (!isObject(value)) return undefined;
  const { os, architecture, variant } = value;
  const text = [os, architecture, variant]
    .filter((part) => typeof part === 'string' && part !== '')
    .join('/');
  if (typeof os !== 'string' || typeof architecture !== 'string' || !isPlatform(text)) return undefined;
  return text === 'unknown/unknown' ? undefined : canonicalPlatform(text);
}

type Refuse = (problem: string) => CellarError;

function parseDocument(bytes: Buffer, refuse: Refuse): Readonly<Record<string, unknown>> {
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw refuse('what should be a manifest is no JSON');
  }
  if (!isObject(document)) throw refuse('what should be a manifest is no JSON object');
  return document;
}

function mediaTypeOf(
  document: Readonly<Record<string, unknown>>,
  { url, contentType, refuse }: { url: string; contentType?: string | undefined; refuse: Refuse },
): string {
  const header = contentType?.split(';')[0]!.trim().toLowerCase();
  const own = textOf(document['mediaType']);
  if (
    document['schemaVersion'] === 1 ||
    /docker\.distribution\.manifest\.v1\+(?:json|prettyjws)$/.test(header ?? '')
  )
    throw new CellarError('E_MANIFEST_UNSUPPORTED', {
      details: { url, mediaType: 'schema 1' },
      hint: 'push the image again with a newer tool; registries no longer take this format either',
    });
  const said = header !== undefined && knownTypes.includes(header) ? header : undefined;
  if (said !== undefined && own !== undefined && said !== own)
    throw refuse(`it calls the manifest ${said}, the manifest calls itself ${own}`);
  const type = said ?? own ?? ('manifests' in document ? indexTypes[0] : imageTypes[0]);
  if (type === undefined || !knownTypes.includes(type))
    throw new CellarError('E_MANIFEST_UNSUPPORTED', { details: { url, mediaType: type ?? 'of no kind' } });
  return type;
}

function parseDescriptor(value: unknown, refuse: Refuse): Descriptor {
  if (!isObject(value)) throw refuse('a manifest with a broken descriptor');
  const { size, urls } = value;
  const [algorithm, hex] = (textOf(value['digest']) ?? '').split(':');
  if (algorithm !== 'sha256' || hex === undefined || !isDigest(hex))
    throw refuse(
      `a manifest with the digest '${(textOf(value['digest']) ?? '').slice(0, 100)}', which is no sha256`,
    );
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw refuse('a manifest with a broken size');
  const platform = platformOf(value['platform']);
  const artifactType = textOf(value['artifactType']);
  return {
    mediaType: textOf(value['mediaType']) ?? '',
    digest: hex,
    size,
    urls: (Array.isArray(urls) ? urls : []).filter(isHttpUrl),
    annotations: annotationsOf(value['annotations']),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(platform === undefined ? {} : { platform }),
  };
}

function annotationsOf(value: unknown): Record<string, string> {
  if (!isObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter((pair): pair is [string, string] => typeof pair[1] === 'string'),
  );
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function isHttpUrl(value: unknown): value is string {
  return typeof value === 'string' && /^https?:\/\//i.test(value) && URL.canParse(value);
}
