/**
 * What a target is: a place on a machine where one version of an image is in service, switched in one step. Targets
 * do not know the store; what they need of it is lent to them as a workbench, so that the same target can later stand
 * on another machine.
 */
import type { ByteString } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import type { EventSink } from '../core/events.ts';
import type { ImageRecord } from '../core/record.ts';
import type { Entry } from '../tree/entry.ts';

export interface Version {
  /** Names what the target keeps for this version; unique at the target, fit for a file name. */
  readonly id: string;
  readonly reference: string;
  readonly record: ImageRecord;
  /** Absent for an image of kind `file`, and of kind `oci` where the target takes it as it is. */
  readonly tree?: Digest;
  readonly writable: boolean;
  readonly parameters: Readonly<Record<string, string>>;
  /** Text of `deployment.json`. */
  readonly deploymentRecord: string;
  /** Where the record lies in the tree itself, if it does. */
  readonly recordInside?: RecordInside;
}

export interface RecordInside {
  /** In the tree; begins with a slash. */
  readonly path: ByteString;
  /** The tree without the record, where `tree` is one with it; absent where it is written into the writable checkout. */
  readonly of?: Digest;
}

/** What the floors below do for a target. Paths are absolute. */
export interface Workbench {
  readonly signal: AbortSignal;
  readonly events: EventSink;
  /** Hears which process a handler runs as, and `undefined` when it has ended: the next command waits for one that outlives us. */
  readonly child?: (pid: number | undefined) => void;
  /** Make a tree visible in a directory that is absent. @returns the method taken */
  checkout(tree: Digest, directory: string, options: CheckoutWishes): Promise<{ method: string }>;
  /** What `checkout` would refuse there, as far as that can be told without making anything. @throws as that */
  rehearse(tree: Digest, directory: string, options: CheckoutWishes): Promise<void>;
  /**
   * Take a checkout away; changes in it are lost. What is no checkout is left alone. A version of a target named by
   * `deployment` is found by its record, also when the way to it is gone or leads elsewhere by now.
   * @throws E_CHECKOUT_BUSY; with `lingers` in its details only another mount namespace sees it still
   */
  release(directory: string, deployment?: string): Promise<void>;
  /**
   * A checkout whose mount a reboot took away is mounted again.
   * @returns whether the directory shows it; false where nothing is left of it
   */
  restore(directory: string, options: { readonly dryRun: boolean }): Promise<boolean>;
  /**
   * Write a tree into a directory, which is empty or holds the tree `from`: then only what differs is touched. By root.
   * On failure it holds neither.
   */
  write(tree: Digest, directory: string, options: { readonly from?: Digest }): Promise<void>;
  /** Where a directory is not as `entries`; content that has not changed since the moment is not read. */
  differs(
    directory: string,
    entries: readonly Entry[],
    options: { readonly since: number },
  ): Promise<ByteString | undefined>;
  /** A version's record into its tree. @throws E_RECORD_PLACE */
  record(directory: string, record: RecordInside & { readonly text: string }): void;
  /** Whether the entries of a tree can be had. */
  holds(tree: Digest): boolean;
  /** The tree's entries, verified. */
  entries(tree: Digest): readonly Entry[];
  /** Content of an object, hashed while it is read. */
  object(digest: Digest): AsyncIterable<Buffer>;
  /** The tree as a plain tar archive, the same bytes every time. A chunk is valid until the next is asked for. */
  tar(tree: Digest): AsyncIterable<Buffer>;
  /** A private directory on the store's file system, gone when the deployment ends. */
  readonly scratch: string;
}

export interface CheckoutWishes {
  readonly writable: boolean;
  /** Name of the target that it is a version of: nobody else takes it away. */
  readonly deployment?: string;
  /** As `cellar checkout --method` has it. */
  readonly method?: string;
  /** Bytes. */
  readonly quota?: number;
  readonly subpath?: string;
  /** With the text to write where the tree does not have it. */
  readonly record?: RecordInside & { readonly text: string };
}

export interface Target {
  /** Canonical `kind:rest`. */
  readonly name: string;
  /** Where users find what is in service; absent for targets that are no path. */
  readonly path?: string;
  /** Whether a version is written to while it is in service, unless the user says otherwise. */
  readonly writable: boolean;
  /** It takes an image of kind `oci` as it is, so no tree is made of it. */
  readonly takesImages?: true;
  /** It takes images of kind `file`, and no others. */
  readonly takesFiles?: true;
  /** `look` finds whoever runs on it; of other targets nobody knows, and their `users` is empty. */
  readonly seesUsers?: true;
  /**
   * Without a signal it is waited for: who has been cancelled in the middle of a switch has to know what is in service.
   * @throws E_TARGET_FOREIGN, E_TARGET_IN_USE, E_TARGET_INVALID, E_CANCELLED
   */
  look(signal?: AbortSignal): Promise<TargetState>;
  /**
   * For targets where a version's place depends on its parameters: asked before anything is changed, dry runs included.
   * @returns the id of a version that has this place already and is the same @throws E_USAGE, E_SYSTEM_LABEL
   */
  readonly admit?: (version: Pick<Version, 'id' | 'tree' | 'parameters'>) => string | undefined;
  /** Versions that are never removed for their age. */
  readonly keeps?: (id: string) => boolean;
  /** Whose tree is in service, whether we made it or not; absent for targets that hold no tree. */
  readonly directory?: () => string | undefined;
  /** For dry runs: what `stage` would refuse, as far as that can be told without making anything. @throws as that */
  readonly rehearse?: (version: Version, bench: Workbench) => Promise<void>;
  /** Put a version beside the active one, complete and on the disk; nobody sees it yet. @returns method of the checkout, if any */
  stage(version: Version, bench: Workbench): Promise<{ method?: string }>;
  /** Before a version counts as in service, for targets that a reboot takes something from: see {@link Workbench.restore}. */
  readonly restore?: (
    id: string,
    bench: Workbench,
    options: { readonly dryRun: boolean },
  ) => Promise<boolean>;
  /** Put a staged version in service in one step; repeating it changes nothing. */
  activate(id: string, bench: Workbench): Promise<void>;
  /** Take the place out of service: as it was before the first deployment. */
  deactivate(bench: Workbench): Promise<void>;
  /** Take away what a killed switch left beside the versions. Nothing is being staged or switched meanwhile. */
  readonly tidy?: () => void;
  /** Remove what is kept for a version that is not in service, complete or not; repeating it changes nothing. */
  discard(id: string, bench: Workbench): Promise<void>;
}

export interface TargetState {
  /** The version in service, by its id; absent when there is none, or something that we did not make. */
  readonly active?: string;
  /** The active version is damaged or past its time: the same content is not the same any more. */
  readonly stale?: boolean;
  /** What lies in the place and is not ours. */
  readonly foreign?: string;
  /** It cannot be set aside, as a mount point cannot. */
  readonly fixed?: true;
  /** Processes or machines that run on it and would see it change. */
  readonly users: readonly string[];
}

export interface TargetOptions {
  /** Of a file, or of the directory above a tree: permission bits. */
  readonly mode?: number;
  /** `user:group`, numeric. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  readonly method?: string;
  /** Bytes that a tree may hold in all. */
  readonly quota?: number;
  /** Of an LXC container: never run, only cloned. */
  readonly base?: boolean;
  /** How hard to compress, where the target does. */
  readonly level?: number;
  /** Replace what lies there and is not ours; it is kept, and comes back with `undeploy`. */
  readonly force: boolean;
}

/** A kind of target: what the word before the colon stands for. */
export interface TargetDriver {
  /** `rest` is what follows the colon. @throws E_TARGET_INVALID */
  readonly open: (rest: string, options: TargetOptions) => Target;
}
