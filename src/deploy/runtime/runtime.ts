/**
 * Images in container runtimes. A version is pulled by the runtime itself, from a registry that lives as long, so that
 * it fetches only the layers it lacks; it is kept under a tag of its own, and the name that users know is another tag
 * of the same image. Containers that run keep what they were started from.
 */
import { sha256 } from '../../core/digest.ts';
import { CellarError, isCellarError } from '../../core/errors.ts';
import { parseReference } from '../../core/reference.ts';
import { formatBytes } from '../../core/quantity.ts';
import { serveImage } from '../../registry/serve-image.ts';
import { ociImageOf } from '../oci/image.ts';
import type { Target, TargetOptions, TargetState, Version, Workbench } from '../port.ts';

/** What a runtime's own program does. Names are complete, with their tag, in the form that `images` gives. */
export interface Runtime {
  /** Names of all images, and the digest by which the runtime knows each: of its manifest or its configuration. */
  images(signal: AbortSignal): Promise<ReadonlyMap<string, string>>;
  /** From a registry that speaks plain HTTP. */
  pull(name: string, options: { platform: string; signal: AbortSignal }): Promise<void>;
  /** Takes the name from another image, if need be. */
  tag(from: string, to: string, signal: AbortSignal): Promise<void>;
  /** The image goes with its last name. @throws E_IO, also when a container uses it */
  untag(name: string, signal: AbortSignal): Promise<void>;
}

export interface RuntimeTargetSpec {
  /** Canonical `kind:rest`. */
  readonly target: string;
  /** Canonical, with its tag. */
  readonly name: string;
  readonly runtime: Runtime;
}

export function imageIn({ target, name, runtime }: RuntimeTargetSpec, options: TargetOptions): Target {
  const place = (id: string): string => `${name}-cellar-${id}`;
  const original = place('original');
  // Part of the repository that is pulled from, so that what a crash left is told from what others pull.
  const mark = sha256(Buffer.from(target)).slice(0, 16);
  const look = async (signal = never): Promise<TargetState> =>
    stateOf(await runtime.images(signal), { name, place });
  return {
    name: target,
    writable: false,
    takesImages: true,
    look,
    async stage(version, bench) {
      await pull(version, { bench, runtime, mark, to: place(version.id), target });
      return {};
    },
    async activate(id, { signal }) {
      const { active, foreign } = await look();
      if (active === id) return;
      if (foreign !== undefined && !options.force)
        throw new CellarError('E_TARGET_FOREIGN', { details: { path: target, found: foreign } });
      if (foreign !== undefined) await runtime.tag(name, original, signal);
      await runtime.tag(place(id), name, signal);
    },
    async deactivate({ signal }) {
      if ((await look()).active === undefined) return;
      const isKept = (await runtime.images(signal)).has(original);
      if (isKept) await runtime.tag(original, name, signal);
      await untag(runtime, isKept ? original : name, signal);
    },
    async discard(id, { signal }) {
      const kept = place(id);
      const left = new RegExp(`^127\\.0\\.0\\.1:\\d+/[0-9a-f]{32}/${mark}:${escape(tagOf(kept))}$`);
      for (const other of (await runtime.images(signal)).keys())
        if (other === kept || left.test(other)) await untag(runtime, other, signal);
    },
  };
}

/** What a target of a runtime names, with its tag, `latest` where it has none. @throws E_TARGET_INVALID */
export function imageName(kind: string, text: string): string {
  const refuse = (problem: string): CellarError =>
    new CellarError('E_TARGET_INVALID', { details: { target: `${kind}:${text}`, problem } });
  let name: string;
  try {
    name = parseReference(text);
  } catch (error) {
    if (!isCellarError(error, 'E_REFERENCE_INVALID')) throw error;
    throw refuse('it takes the name of an image, such as app:1.0');
  }
  // Versions add theirs, and a tag ends at 128.
  if (tagOf(name).length > 96) throw refuse('its tag is longer than 96 characters');
  return name;
}

const never = new AbortController().signal;

function stateOf(
  images: ReadonlyMap<string, string>,
  { name, place }: { name: string; place: (id: string) => string },
): TargetState {
  const current = images.get(name);
  if (current === undefined) return { users: [] };
  const prefix = place('');
  const ids = [...images]
    .filter(([other, image]) => other.startsWith(prefix) && image === current)
    .map(([other]) => other.slice(prefix.length))
    .filter((id) => /^\d+-[0-9a-f]{8}$/.test(id))
    .sort((a, b) => parseInt(a) - parseInt(b));
  // Versions of the same image share its digest: then the newest counts.
  const active = ids.at(-1);
  return active === undefined ? { foreign: 'an image', users: [] } : { active, users: [] };
}

interface Pull {
  readonly bench: Workbench;
  readonly runtime: Runtime;
  readonly mark: string;
  readonly to: string;
  readonly target: string;
}

async function pull(version: Version, { bench, runtime, mark, to, target }: Pull): Promise<void> {
  const { signal, events } = bench;
  const image = await ociImageOf(version, bench);
  await using server = await serveImage(image, mark);
  const from = `${server.repository}:${tagOf(to)}`;
  try {
    const either = AbortSignal.any([signal, server.failed]);
    await runtime.pull(from, { platform: image.platform, signal: either });
  } catch (error) {
    throw server.failed.aborted ? server.failed.reason : error;
  }
  try {
    const found = (await runtime.images(signal)).get(from);
    if (found !== image.digest && (found === undefined || !image.blobs.has(found)))
      throw new CellarError('E_CHECKSUM_MISMATCH', {
        details: { source: target, found: found ?? 'nothing', wanted: image.digest },
      });
    await runtime.tag(from, to, signal);
  } finally {
    await runtime.untag(from, never);
  }
  const { count, bytes } = server.served;
  const text = `${target} fetched ${count} of ${image.blobs.size} blobs, ${formatBytes(bytes)}`;
  events({ type: 'note', text });
}

/** @throws E_CHECKOUT_BUSY while a container was made of it */
async function untag(runtime: Runtime, name: string, signal: AbortSignal): Promise<void> {
  try {
    await runtime.untag(name, signal);
  } catch (error) {
    if (!isCellarError(error, 'E_IO') || !/\b(?:in use|is using|being used)\b/.test(error.message))
      throw error;
    throw new CellarError('E_CHECKOUT_BUSY', {
      details: { path: name },
      hint: 'remove the containers that were made of it first',
      cause: error,
    });
  }
}

function tagOf(name: string): string {
  return name.slice(name.lastIndexOf(':') + 1);
}

function escape(text: string): string {
  return text.replace(/[.+]/g, '\\$&');
}
