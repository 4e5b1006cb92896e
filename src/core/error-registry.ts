/**
 * Every error a user can meet, in one table. `docs/reference/errors.md` is generated from it and a test fails
 * when they differ. Exit codes: 1 failed, 2 usage, 3 partial, 4 authentication, 5 verification failed,
 * 10 not found, 11 locked, 12 integrity, 13 no space, 130 cancelled.
 */
export interface ErrorRow {
  /** `{name}` is filled from the error's details. */
  readonly message: string;
  readonly exitCode: 1 | 2 | 3 | 4 | 5 | 10 | 11 | 12 | 13 | 130;
  readonly httpStatus: number;
  readonly retryable?: boolean;
  /** Default hint; an instance may bring a better one. */
  readonly hint?: string;
}

const rows = {
  // Usage
  E_USAGE: { message: '{problem}', exitCode: 2, httpStatus: 400 },
  E_REFERENCE_INVALID: {
    message: "'{reference}' is not a reference: {problem}",
    exitCode: 2,
    httpStatus: 400,
    hint: "see 'cellar help names'",
  },
  E_PLATFORM_INVALID: {
    message: "'{platform}' is not a platform",
    exitCode: 2,
    httpStatus: 400,
    hint: 'write os/arch[/variant], for instance linux/amd64',
  },
  E_PLATFORM_AMBIGUOUS: {
    message: '{reference} exists for several platforms: {platforms}',
    exitCode: 2,
    httpStatus: 400,
    hint: 'choose one with --platform',
  },
  E_DIGEST_AMBIGUOUS: {
    message: "'{prefix}' matches more than one image: {matches}",
    exitCode: 2,
    httpStatus: 400,
    hint: 'give more digits',
  },
  E_NOT_A_TREE: {
    message: '{reference} is of kind {kind}, which has no file tree',
    exitCode: 2,
    httpStatus: 400,
  },
  E_DESTINATION_EXISTS: {
    message: '{path} already exists and is not an empty directory',
    exitCode: 2,
    httpStatus: 409,
    hint: "choose another directory, or 'cellar release {path}' when it is a checkout",
  },
  E_NOT_ALLOWED: { message: '{operation} is not permitted: {problem}', exitCode: 1, httpStatus: 403 },
  E_UNSUPPORTED: { message: '{problem}', exitCode: 1, httpStatus: 501 },

  // Not found
  E_NOT_FOUND: {
    message: "no image '{reference}'[ for {platform}] in the store {store}",
    exitCode: 10,
    httpStatus: 404,
    hint: "'cellar ls' shows what is there",
  },
  E_NOT_CACHED: {
    message: '{reference} is not in the store, {problem}; it would come from {places}',
    exitCode: 10,
    httpStatus: 404,
  },
  E_PATH_NOT_FOUND: {
    message: '{path} is not in {reference}',
    exitCode: 10,
    httpStatus: 404,
    hint: "'cellar files {reference}' lists its paths",
  },
  E_SOURCE_NOT_FOUND: { message: '{source} does not exist', exitCode: 10, httpStatus: 404 },
  E_CHECKOUT_NOT_FOUND: {
    message: '{path} is not a checkout of the store {store}',
    exitCode: 10,
    httpStatus: 404,
    hint: "'cellar checkouts' lists them",
  },
  E_NO_STORE: {
    message: 'there is no store at {store}',
    exitCode: 10,
    httpStatus: 404,
    hint: "'cellar import' and 'cellar pull' make one; --store or CELLAR_STORE names another",
  },

  // Store
  E_STORE_FORMAT: {
    message: '{store} has format {found}; this cellar reads {wanted}',
    exitCode: 1,
    httpStatus: 500,
    hint: 'upgrade cellar, or name another store',
  },
  E_STORE_NOT_EMPTY: {
    message: '{store} is not a store and not empty',
    exitCode: 2,
    httpStatus: 409,
    hint: 'give --store an empty or a new directory',
  },
  E_STORE_FILESYSTEM: {
    message: '{store} is on {filesystem}, which does not keep locks and renames safe',
    exitCode: 1,
    httpStatus: 500,
    hint: 'put the store on a local file system',
  },
  E_STORE_PATH_LONG: {
    message:
      'the path of the store has {bytes} bytes, and its database opens paths of {most} at most: {store}',
    exitCode: 2,
    httpStatus: 400,
    hint: 'give --store a shorter one; a symlink does not help',
  },
  E_STORE_READ_ONLY: {
    message: 'the store {store} is read-only',
    exitCode: 1,
    httpStatus: 403,
    hint: 'what is there can be read; --store names another one to write to',
  },
  E_LOCKED: {
    message: 'the store is locked by another process ({holder})',
    exitCode: 11,
    httpStatus: 423,
    retryable: true,
    hint: 'wait for it to end; a lock never outlives its process',
  },
  E_IN_USE: { message: '{what} is in use by {users}', exitCode: 11, httpStatus: 409 },
  E_NO_SPACE: {
    message: 'no space left on {path} while {doing}',
    exitCode: 13,
    httpStatus: 507,
    hint: "free some space, for instance with 'cellar rm' and 'cellar gc', and run the command again; nothing half done is in use",
  },
  E_SPACE_NEEDED: {
    message: '{needed} are needed on {path} and {free} are free',
    exitCode: 13,
    httpStatus: 507,
    hint: "free some space: 'cellar du' shows what costs most; nothing was transferred",
  },
  E_STORE_FULL: {
    message: 'the store may take {limit}: it takes {used}{besides}',
    exitCode: 13,
    httpStatus: 507,
    hint: "raise max-size, or take away what is pinned, checked out or imported: 'cellar du' shows what costs most",
  },
  E_QUOTA: {
    message: 'disk quota exceeded on {path} while {doing}',
    exitCode: 13,
    httpStatus: 507,
    hint: 'raise the quota or free space, and run the command again; nothing half done is in use',
  },
  E_TOO_MANY_OPEN: {
    message: 'too many open files while {doing}',
    exitCode: 1,
    httpStatus: 500,
    retryable: true,
    hint: "raise the limit with 'ulimit -n'",
  },
  E_NO_PROC: {
    message: '/proc is not mounted here: mounts, processes and open directories are looked up there',
    exitCode: 1,
    httpStatus: 500,
    hint: 'mount -t proc proc /proc',
  },
  E_IO: { message: '{doing} failed on {path}: {problem}', exitCode: 1, httpStatus: 500 },

  // Integrity
  E_OBJECT_DAMAGED: {
    message: 'object {object} is damaged (its content has digest {found})',
    exitCode: 12,
    httpStatus: 500,
    hint: "'cellar fsck' names the images it affects, 'cellar fsck --repair' mends them",
  },
  E_OBJECT_MISSING: {
    message: 'object {object} is missing',
    exitCode: 12,
    httpStatus: 500,
    hint: "'cellar fsck' names the images it affects, 'cellar fsck --repair' mends them",
  },
  E_TREE_DAMAGED: {
    message: 'the {part} of tree {tree} is damaged',
    exitCode: 12,
    httpStatus: 500,
    hint: "'cellar fsck --repair' mends what can be derived again",
  },
  E_TREE_MISSING: {
    message: 'tree {tree} is missing',
    exitCode: 12,
    httpStatus: 500,
    hint: "'cellar fsck' names the images it affects",
  },
  E_DATABASE_DAMAGED: {
    message: 'the database is damaged: {problem}',
    exitCode: 12,
    httpStatus: 500,
    hint: "'cellar fsck --repair' rebuilds it from the journal",
  },

  // Verification of what comes in
  E_CHECKSUM_MISMATCH: {
    message: '{source} has SHA-256 {found}, wanted {wanted}',
    exitCode: 5,
    httpStatus: 502,
    hint: 'nothing was stored; the file was changed, truncated or tampered with',
  },
  E_CHECKSUM_NAME: {
    message: '{source} has no sum for {name}',
    exitCode: 5,
    httpStatus: 502,
    hint: '--sha256 gives its digest, --verify=no goes without; listed are {names}',
  },
  E_CHECKSUM_FORMAT: {
    message: '{source} is no list of SHA-256 sums: {problem}',
    exitCode: 5,
    httpStatus: 502,
    hint: '--sha256 gives the digest instead',
  },
  E_CHECKSUM_CONFLICT: {
    message: 'by {source} the SHA-256 of {name} is {found}, by {other} it is {wanted}',
    exitCode: 5,
    httpStatus: 502,
    hint: 'upstream may be in the middle of a change; try again later, or give the right digest with --sha256',
  },
  E_SIGNATURE_BAD: {
    message: 'the signature {signature} does not fit {source}: {problem}',
    exitCode: 5,
    httpStatus: 502,
    hint: 'the file or its signature was changed or tampered with, or one of them is of another version; do not use it',
  },
  E_SIGNATURE_KEY_UNKNOWN: {
    message: '{signature} was made with the key {key}, which is not among the trusted ones',
    exitCode: 5,
    httpStatus: 502,
    hint: "when it is the right key, 'cellar keys add FILE' trusts it from now on, --keyring FILE for this once",
  },
  E_SIGNATURE_KEY_EXPIRED: {
    message: '{signature} was made with the key {key}, which expired on {expired}',
    exitCode: 5,
    httpStatus: 502,
    hint: "when its owner has extended it, 'cellar keys add FILE' takes the new copy",
  },
  E_SIGNATURE_KEY_REVOKED: {
    message: '{signature} was made with the key {key}, which its owner has revoked',
    exitCode: 5,
    httpStatus: 502,
    hint: "ask the publisher for its new key; 'cellar keys rm {key}' forgets this one",
  },
  E_SIGNATURE_EXPIRED: {
    message: 'the signature {signature} is not valid now: {problem}',
    exitCode: 5,
    httpStatus: 502,
    hint: "check this machine's clock; if it is right, ask the publisher for a new signature",
  },
  E_SIGNATURE_WEAK: {
    message: 'the signature {signature} proves nothing: {problem}',
    exitCode: 5,
    httpStatus: 502,
    hint: 'ask the publisher for a signature with SHA-256 or better, by a key that is meant for signing',
  },
  E_SIGNATURE_FORMAT: {
    message: '{signature} is no OpenPGP signature: {problem}',
    exitCode: 5,
    httpStatus: 502,
    hint: '--verify=checksum does without signatures',
  },
  E_VERIFICATION_UNAVAILABLE: {
    message: '{source} offers no {wanted}',
    exitCode: 5,
    httpStatus: 502,
    hint: '--sha256 gives the digest it must have; --verify=no records that nothing was checked',
  },
  E_VERIFICATION_DOWNGRADE: {
    message: '{source} offers {found}, and the version before was verified by {before}',
    exitCode: 5,
    httpStatus: 502,
    hint: 'when this is right, say so with --verify={found}',
  },
  E_KEYRING_INVALID: {
    message: '{path} is no OpenPGP keyring: {problem}',
    exitCode: 2,
    httpStatus: 400,
    hint: "'gpg --export KEY > FILE' writes one",
  },
  E_KEY_NOT_FOUND: {
    message: "no {kind} key '{key}' in the store {store}",
    exitCode: 10,
    httpStatus: 404,
    hint: "'cellar keys ls' lists them, 'cellar keys add FILE' and 'cellar keys new NAME' bring more",
  },
  E_KEY_AMBIGUOUS: {
    message: "'{key}' means more than one key: {matches}",
    exitCode: 2,
    httpStatus: 400,
    hint: 'give the fingerprint',
  },
  E_KEY_SECRET: {
    message: 'the secret half of the key {key} is here, and may be nowhere else',
    exitCode: 2,
    httpStatus: 409,
    hint: '--force removes it all the same',
  },
  E_KEY_PASSPHRASE: {
    message: 'the secret key {key} is not opened by {given}',
    exitCode: 4,
    httpStatus: 401,
    hint: 'give its passphrase in CELLAR_KEY_PASSPHRASE, or in a file with --passphrase-file',
  },
  E_KEY_UNUSABLE: {
    message: 'the key {key} cannot sign: {problem}',
    exitCode: 1,
    httpStatus: 422,
    hint: "'cellar keys new NAME' makes a key that can",
  },

  E_LOCK_MISSING: {
    message: '{path} names no content of {reference}',
    exitCode: 5,
    httpStatus: 404,
    hint: "'cellar sync' without --locked takes what the source offers and writes the lock file",
  },
  E_LOCK_MISMATCH: {
    message: '{reference} for {platform} has content {found}, and the lock file wants {wanted}',
    exitCode: 5,
    httpStatus: 502,
    hint: "'cellar sync' without --locked takes the new version and renews the lock file",
  },
  E_COSIGN_MISSING: {
    message: '{image} has no cosign signature',
    exitCode: 5,
    httpStatus: 502,
    hint: 'nothing was stored; ask who publishes it, or verify by checksum if its digest came to you some safe way',
  },
  E_COSIGN_INVALID: {
    message: 'no cosign signature of {image} is good: {problem}',
    exitCode: 5,
    httpStatus: 502,
    hint: 'nothing was stored; the image was not signed by this key or root of trust, or the signature was changed',
  },
  E_COSIGN_SUBJECT: {
    message: 'the cosign signature offered for {image} is of {found}',
    exitCode: 5,
    httpStatus: 502,
    hint: 'nothing was stored; the image was replaced after it was signed',
  },
  E_COSIGN_IDENTITY: {
    message: '{image} is signed by {found}, wanted {wanted}',
    exitCode: 5,
    httpStatus: 502,
    hint: 'nothing was stored; identity and issuer have to match exactly',
  },
  E_COSIGN_TRUST: {
    message: '{path} cannot be verified with: {problem}',
    exitCode: 5,
    httpStatus: 422,
  },

  // Sources and the network
  E_SOURCE_INVALID: {
    message: "'{source}' is not a source: {problem}",
    exitCode: 2,
    httpStatus: 400,
    hint: "'cellar help names' explains sources",
  },
  E_SOURCE_GONE: {
    message: '{source} is not there ({problem})',
    exitCode: 10,
    httpStatus: 410,
    hint: 'check how it is written',
  },
  E_SOURCE_UNREACHABLE: {
    message: '{source} cannot be asked now: {problem}',
    exitCode: 1,
    httpStatus: 502,
    retryable: true,
    hint: 'what the store holds stays usable; --mirror names another place to ask',
  },
  E_PLATFORM_UNAVAILABLE: {
    message: '{source} offers nothing for {platform}; it has {available}',
    exitCode: 10,
    httpStatus: 404,
    hint: 'choose one of those with --platform',
  },
  E_HTTP_STATUS: { message: '{url} answered {status}{problem}', exitCode: 1, httpStatus: 502 },
  E_HTTP_UNREACHABLE: {
    message: '{url} cannot be reached: {problem}',
    exitCode: 1,
    httpStatus: 502,
    retryable: true,
    hint: 'check the network, the proxy variables and the name',
  },
  E_HTTP_TIMEOUT: {
    message: '{url} sent {sent} for {seconds} s',
    exitCode: 1,
    httpStatus: 504,
    retryable: true,
    hint: 'raise the timeout of the source, or name a --mirror',
  },
  E_HTTP_REDIRECT: { message: '{url} redirects to {target}: {problem}', exitCode: 1, httpStatus: 502 },
  E_HTTP_BODY: {
    message: '{url} sent a wrong body: {problem}',
    exitCode: 1,
    httpStatus: 502,
    retryable: true,
  },
  E_HTTP_ATTEMPTS: {
    message: '{url} failed {count} times: {reasons}',
    exitCode: 1,
    httpStatus: 502,
    retryable: true,
    hint: 'check the server, the network, the proxy variables and the name; --mirror names another place to ask',
  },
  E_AUTHENTICATION: {
    message: '{url} denies access ({status})',
    exitCode: 4,
    httpStatus: 401,
    hint: "give --user and --password-file, or 'credentials' in cellar.yaml; registries take ~/.docker/config.json, too",
  },
  E_CREDENTIALS: {
    message: '{place} gives no credentials for {server}: {problem}',
    exitCode: 4,
    httpStatus: 401,
    hint: 'mend it or take the entry out; without one the server is asked anonymously',
  },
  E_REGISTRY_INVALID: {
    message: '{url} answered as no registry does: {problem}',
    exitCode: 1,
    httpStatus: 502,
  },
  E_MANIFEST_UNSUPPORTED: {
    message: '{url} is a manifest of a kind that is not kept: {mediaType}',
    exitCode: 1,
    httpStatus: 422,
  },

  // Configuration
  E_CONFIG_SECRET: { message: '{where}: {problem}', exitCode: 4, httpStatus: 500 },
  E_CONFIG: { message: '{place}: {problem}', exitCode: 2, httpStatus: 422 },
  E_CONFIG_NONE: {
    message: 'there is no configuration: neither {places} is there',
    exitCode: 10,
    httpStatus: 404,
    hint: "'cellar add NAME SOURCE' makes one; --config names another",
  },
  E_CONFIG_NAME: {
    message: "{file} has no image or group '{name}'",
    exitCode: 10,
    httpStatus: 404,
  },
  E_CONFIG_EXISTS: {
    message: '{place} has {name} already, with other settings',
    exitCode: 2,
    httpStatus: 409,
    hint: 'edit it there, or choose another name',
  },
  E_LOCK_FILE: {
    message: 'the lock file {place}: {problem}',
    exitCode: 2,
    httpStatus: 422,
    hint: "'cellar sync' without --locked writes it anew",
  },

  // Archives and trees
  E_ARCHIVE_FORMAT: {
    message: '{source} is not an archive we read: {problem}',
    exitCode: 1,
    httpStatus: 422,
    hint: "tar (ustar, pax, GNU), plain or packed with gzip, xz, zstd, bzip2 or lz4; 'cellar pull PATH REF' keeps any other file",
  },
  E_ARCHIVE_TRUNCATED: {
    message: '{source} ends too early, at byte {offset}: {problem}',
    exitCode: 1,
    httpStatus: 422,
    hint: 'fetch it again',
  },
  E_ARCHIVE_CORRUPT: {
    message: '{source} is corrupt at byte {offset}: {problem}',
    exitCode: 1,
    httpStatus: 422,
    hint: "fetch it again; 'tar -tvf' tells how far it can be read",
  },
  E_SQUASHFS_CORRUPT: {
    message: '{path} cannot be read as a squashfs image: {problem}',
    exitCode: 1,
    httpStatus: 422,
    hint: "fetch it again; 'unsquashfs -s' tells what the image says of itself",
  },
  E_ARCHIVE_UNSAFE: {
    message: '{source} holds an unsafe entry {path}: {problem}',
    exitCode: 1,
    httpStatus: 422,
    hint: 'nothing was stored; leave it out with --exclude if you trust the rest',
  },
  E_ARCHIVE_LIMIT: {
    message: '{source} exceeds {limit}',
    exitCode: 1,
    httpStatus: 422,
    hint: 'raise --max-size or --max-files if this is intended',
  },
  E_DECOMPRESSOR: {
    message: 'unpacking {source} needs the program {program}',
    exitCode: 1,
    httpStatus: 500,
    hint: 'apt-get install {package}',
  },
  E_MANIFEST_INVALID: {
    message: 'line {line} of the manifest is invalid: {problem}',
    exitCode: 12,
    httpStatus: 422,
  },
  E_TREE_INVALID: { message: '{path}: {problem}', exitCode: 1, httpStatus: 422 },
  E_EROFS_LIMIT: {
    message: '{path} cannot be held by an EROFS image: {problem}',
    exitCode: 1,
    httpStatus: 422,
  },
  E_MERGE_CONFLICT: { message: '{path} is in more than one tree and differs', exitCode: 1, httpStatus: 409 },
  E_SOURCE_CHANGED: {
    message: '{path} changed while it was read',
    exitCode: 1,
    httpStatus: 409,
    retryable: true,
    hint: 'stop what writes to it, or snapshot it, and run the command again',
  },

  // Checkout
  E_METHOD_UNAVAILABLE: {
    message: 'checkout method {method} does not serve here: {problem}',
    exitCode: 1,
    httpStatus: 422,
    hint: "use --method=auto; 'cellar doctor' shows what this machine can do",
  },
  E_BACKING_MISSING: {
    message: 'there is no {kind} {name}',
    exitCode: 10,
    httpStatus: 422,
    hint: "name the one to use: --method lvm:GROUP, lvm:GROUP/POOL or zfs:DATASET ('cellar help checkout')",
  },
  E_VOLUME_FAILED: {
    message: '{program} failed: {problem}',
    exitCode: 1,
    httpStatus: 500,
    hint: "'lvs' or 'zfs list' shows what is there",
  },
  E_QUOTA_UNSUPPORTED: {
    message: 'no quota with checkout method {method}: {problem}',
    exitCode: 1,
    httpStatus: 422,
    hint: 'btrfs, lvm and zfs have quotas: ask for one of them with --method',
  },
  E_CHECKOUT_BUSY: {
    message: '{path} is in use',
    exitCode: 11,
    httpStatus: 409,
    hint: 'stop what runs there first; fuser -m {path} names it',
  },
  E_CHECKOUT_CHANGED: {
    message: '{path} holds changes that no image has',
    exitCode: 1,
    httpStatus: 409,
    hint: "'cellar commit {path} REF' keeps them, 'cellar release --force {path}' throws them away",
  },
  E_CHECKOUT_REPLACED: {
    message: '{path} is no longer the directory that was checked out',
    exitCode: 1,
    httpStatus: 409,
    hint: "'cellar release --force {path}' forgets the checkout and leaves the directory as it is",
  },
  E_CHECKOUT_KERNEL: {
    message:
      'the writable layer of {path} was made by another kernel, whose handles of hard links this one refuses',
    exitCode: 1,
    httpStatus: 409,
    hint: 'start the kernel from before once more, commit the checkout there, and check the new image out',
  },
  E_CHECKOUT_UNMOUNTED: {
    message: 'the checkout {path} is not mounted',
    exitCode: 1,
    httpStatus: 409,
    hint: "'cellar mount --all' mounts every checkout on record again",
  },

  // Deployments
  E_TARGET_INVALID: {
    message: "'{target}' is not a target: {problem}",
    exitCode: 2,
    httpStatus: 400,
    hint: "'cellar help names' explains targets",
  },
  E_TARGET_FOREIGN: {
    message: '{path} holds {found} that no deployment made',
    exitCode: 1,
    httpStatus: 409,
    hint: "--force sets it aside, and 'cellar undeploy' brings it back",
  },
  E_TARGET_IN_USE: {
    message: '{target} is running ({users})',
    exitCode: 11,
    httpStatus: 409,
    hint: 'stop it first, or give commands with --stop and --start',
  },
  E_RECORD_PLACE: {
    message: 'the record of the deployment cannot lie at {path}: {problem}',
    exitCode: 1,
    httpStatus: 409,
    hint: 'name another place with --record, or none',
  },
  E_SYSTEM_LABEL: {
    message: "{target} has a version '{label}' already, with {tree}",
    exitCode: 1,
    httpStatus: 409,
    hint: 'give another with --set label=…; no version is written over',
  },
  E_SYSTEM_DIFFERS: {
    message: 'what was written is not tree {tree}: {path} differs',
    exitCode: 1,
    httpStatus: 500,
    hint: 'the medium, or somebody who writes there, changed it; nothing was put in service',
  },
  E_NEST_PLACE: {
    message: '{reference} cannot be nested at {path}: {problem}',
    exitCode: 1,
    httpStatus: 409,
  },
  E_DEPLOYMENT_NESTED: {
    message: "'{name}' is nested in deployment {parent} of {file} and delivered with it",
    exitCode: 2,
    httpStatus: 400,
  },
  E_DEPLOYMENT_NOT_FOUND: {
    message: '{target} has no {wanted} in the store {store}',
    exitCode: 10,
    httpStatus: 404,
    hint: "'cellar deployments' lists what is deployed",
  },
  E_DEPLOYMENT_NAME: {
    message: "{file} has no deployment or group of deployments '{name}'",
    exitCode: 10,
    httpStatus: 404,
  },
  E_DEPLOYMENT_IMAGE: {
    message:
      "{place}: there is no image '{reference}': the store {store} has none, and no source for it is known",
    exitCode: 10,
    httpStatus: 404,
    hint: "'cellar ls' shows what is there; an image with a source is written under images:",
  },
  E_DEPLOYMENT_SETTING: { message: '{where}: {problem}', exitCode: 2, httpStatus: 400 },
  E_DEPLOY_HANDLER: {
    message: 'version {version} of {target}: {handler} ended with {code}: {output}',
    exitCode: 1,
    httpStatus: 500,
    hint: 'what was in service before is in service again',
  },
  E_UPGRADE_CONFLICT: {
    message: 'changed at {target} and different in {reference}: {paths}',
    exitCode: 1,
    httpStatus: 409,
    hint: "nothing was changed; '--take mine' keeps those of the target, '--take next' takes the newer ones",
  },
  E_UPGRADE_SEALED: {
    message: 'version {version} of {target} is not writable, so it has no changes of its own',
    exitCode: 1,
    httpStatus: 409,
    hint: "'cellar deploy' puts another image in service there",
  },

  // Building
  E_BUILD_COMMAND: {
    message: '{step} ended with {code}: {command}',
    exitCode: 1,
    httpStatus: 500,
    hint: 'nothing was stored; {log} has all of its output',
  },
  E_BUILD_TIMEOUT: {
    message: '{step} did not end within {limit} and was stopped: {command}',
    exitCode: 1,
    httpStatus: 504,
    hint: 'nothing was stored; {log} has all of its output; timeout: in the recipe allows more',
  },

  // General
  E_MISSING_TOOL: {
    message: 'the program {program} is needed: {why}',
    exitCode: 1,
    httpStatus: 500,
    hint: 'apt-get install {package}',
  },
  E_CANCELLED: { message: 'cancelled', exitCode: 130, httpStatus: 499 },
  E_INTERNAL: {
    message: 'internal error: {problem}',
    exitCode: 1,
    httpStatus: 500,
    hint: 'please report it with the output of --verbose',
  },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof rows;

export const errorRegistry: Readonly<Record<ErrorCode, ErrorRow>> = rows;
