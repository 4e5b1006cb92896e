/**
 * What a source is. A driver turns one location (a URL, a path) into offers: what upstream has now, for each platform,
 * made of parts that can be fetched and checked. A driver asks small questions only; it neither transfers parts nor
 * writes to a store, so every kind of source gets resumption, mirrors, verification and dedup from the same code.
 */
import type { Digest } from '../core/digest.ts';
import type { Platform } from '../core/platform.ts';
import type { ImageKind } from '../core/record.ts';
import type { HttpClient, HttpOptions } from '../net/port.ts';

export interface SourceOptions {
  /** More places that hold the same files, in the order to try them. */
  readonly mirrors: readonly string[];
  readonly http: HttpOptions;
}

/** What a driver may use while it looks. */
export interface Surroundings {
  /** The client of this source, made on first use and closed by its owner. */
  readonly client: HttpClient;
  readonly signal: AbortSignal;
}

export interface Query {
  /** `all`, or the ones wanted; drivers that know no platforms answer for the first. */
  readonly platforms: readonly Platform[] | 'all';
  /** What was there at the last look, for each platform; lets a driver ask "anything newer?" with headers alone. */
  readonly known: readonly Seen[];
}

/** What a look found, as it is remembered. */
export interface Seen {
  readonly platform: Platform;
  /** Equal revision means nothing new: an ETag, a build serial, a manifest digest. Never empty. */
  readonly revision: string;
  readonly etag?: string;
  readonly lastModified?: string;
}

export interface Offer extends Seen {
  readonly kind: ImageKind;
  /** Upstream said that nothing changed; `parts` is empty then. */
  readonly unchanged?: true;
  readonly parts: readonly Part[];
  readonly labels: Readonly<Record<string, string>>;
  /** When upstream says the image ceases to be good: integer seconds since the epoch. */
  readonly expires?: number;
}

export interface Part {
  /** `content` is or becomes the image; `attachment` is kept beside it; `blob` belongs to an OCI image. */
  readonly role: 'content' | 'attachment' | 'blob';
  /** The last component of its URL, as sums list it; for an attachment, the name it is kept under. */
  readonly name: string;
  readonly size?: number;
  /** What the source itself says its digest is. */
  readonly sha256?: Digest;
  /** How the content becomes a tree; a `file` or `oci` offer has none. */
  readonly format?: 'tar' | 'squashfs' | 'directory';
  /** Only this directory of the archive is the tree; what lies beside it is kept as attachments. */
  readonly subpath?: string;
  readonly from: Locator;
}

export type Locator =
  /** The first URL and its mirrors; `client` where it is not the source's own (a registry's token). */
  | { readonly type: 'http'; readonly urls: readonly string[]; readonly client?: HttpClient }
  /** A file on this machine, or a range of bytes of one (a member of an archive). */
  | { readonly type: 'file'; readonly path: string; readonly offset?: number; readonly length?: number }
  | { readonly type: 'bytes'; readonly bytes: Buffer };

export interface Source extends AsyncDisposable {
  /** The server that the source's credentials are for, and no mirror; absent where the driver sees to that, and for files. */
  readonly origin?: string;
  /** One for each platform that was asked for. @throws E_SOURCE_GONE, E_SOURCE_INVALID, E_PLATFORM_UNAVAILABLE and the client's */
  look(query: Query, surroundings: Surroundings): Promise<Offer[]>;
}

export interface Driver {
  /** For messages and `cellar help names`. */
  readonly name: string;
  /** @throws E_SOURCE_INVALID */
  readonly open: (location: string, options: SourceOptions) => Source;
}
