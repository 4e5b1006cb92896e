/**
 * All verbs in the order of the overview. Light on purpose: what a verb needs is loaded when it is called, so that
 * `cellar help` and completion stay instant however much the verbs bring with them.
 */
import type { AnyVerb } from './spec.ts';

export interface VerbEntry {
  readonly name: string;
  readonly group: 'Sources' | 'Images' | 'Checkouts' | 'Deployments' | 'Store' | 'General';
  readonly summary: string;
  readonly load: () => Promise<{ readonly verb: AnyVerb }>;
  /** Callable but not shown: machinery of the shells. */
  readonly hidden?: true;
}

export const verbs: readonly VerbEntry[] = [
  {
    name: 'pull',
    group: 'Sources',
    summary: 'Fetch an image from a source, verified, and only when it changed',
    load: () => import('./verbs/pull.ts'),
  },
  {
    name: 'sync',
    group: 'Sources',
    summary: 'Bring the images of cellar.yaml up to date',
    load: () => import('./verbs/sync.ts'),
  },
  {
    name: 'add',
    group: 'Sources',
    summary: 'Write an image, or all of a list, into cellar.yaml',
    load: () => import('./verbs/add.ts'),
  },
  {
    name: 'outdated',
    group: 'Sources',
    summary: 'Show what is stale, expired, unverifiable or gone',
    load: () => import('./verbs/outdated.ts'),
  },
  {
    name: 'keys',
    group: 'Sources',
    summary: 'The OpenPGP keys that pull trusts and export signs with',
    load: () => import('./verbs/keys.ts'),
  },
  {
    name: 'import',
    group: 'Images',
    summary: 'Store an archive or a directory as an image',
    load: () => import('./verbs/import.ts'),
  },
  {
    name: 'export',
    group: 'Images',
    summary: 'Write an image as a tar archive, the same bytes every time',
    load: () => import('./verbs/export.ts'),
  },
  {
    name: 'ls',
    group: 'Images',
    summary: 'List references and the images they name',
    load: () => import('./verbs/ls.ts'),
  },
  {
    name: 'show',
    group: 'Images',
    summary: 'Show what an image is and where it came from',
    load: () => import('./verbs/show.ts'),
  },
  {
    name: 'provenance',
    group: 'Images',
    summary: 'Show what an image was made of, and where that came from',
    load: () => import('./verbs/provenance.ts'),
  },
  {
    name: 'history',
    group: 'Images',
    summary: 'Show the earlier values of a reference',
    load: () => import('./verbs/history.ts'),
  },
  {
    name: 'files',
    group: 'Images',
    summary: 'List the files of an image',
    load: () => import('./verbs/files.ts'),
  },
  {
    name: 'cat',
    group: 'Images',
    summary: 'Write one file of an image to standard output',
    load: () => import('./verbs/cat.ts'),
  },
  {
    name: 'diff',
    group: 'Images',
    summary: 'Compare two images file by file',
    load: () => import('./verbs/diff.ts'),
  },
  {
    name: 'compose',
    group: 'Images',
    summary: 'Put trees together, or split one, without copying a file',
    load: () => import('./verbs/compose.ts'),
  },
  {
    name: 'build',
    group: 'Images',
    summary: 'Prepare an image by a recipe; unchanged means no work',
    load: () => import('./verbs/build.ts'),
  },
  {
    name: 'tag',
    group: 'Images',
    summary: 'Give an image another reference',
    load: () => import('./verbs/tag.ts'),
  },
  {
    name: 'rm',
    group: 'Images',
    summary: 'Remove a reference; gc frees what nothing else needs',
    load: () => import('./verbs/rm.ts'),
  },
  {
    name: 'pin',
    group: 'Images',
    summary: 'Protect a reference and all its kept history',
    load: () => import('./verbs/pin.ts'),
  },
  {
    name: 'unpin',
    group: 'Images',
    summary: 'Take the protection away again',
    load: () => import('./verbs/unpin.ts'),
  },
  {
    name: 'checkout',
    group: 'Checkouts',
    summary: 'Make an image visible in a directory',
    load: () => import('./verbs/checkout.ts'),
  },
  {
    name: 'commit',
    group: 'Checkouts',
    summary: 'Store a changed checkout, or any directory, as a new version',
    load: () => import('./verbs/commit.ts'),
  },
  {
    name: 'release',
    group: 'Checkouts',
    summary: 'Take a checkout away again',
    load: () => import('./verbs/release.ts'),
  },
  {
    name: 'checkouts',
    group: 'Checkouts',
    summary: 'List the checkouts of the store',
    load: () => import('./verbs/checkouts.ts'),
  },
  {
    name: 'mount',
    group: 'Checkouts',
    summary: 'Mount checkouts again, after a reboot',
    load: () => import('./verbs/mount.ts'),
  },
  {
    name: 'deploy',
    group: 'Deployments',
    summary: 'Put an image in service at a target, in one step',
    load: () => import('./verbs/deploy.ts'),
  },
  {
    name: 'rollback',
    group: 'Deployments',
    summary: 'Put an earlier version back in service',
    load: () => import('./verbs/rollback.ts'),
  },
  {
    name: 'upgrade',
    group: 'Deployments',
    summary: 'Move a writable target to a newer base, with its own changes',
    load: () => import('./verbs/upgrade.ts'),
  },
  {
    name: 'deployments',
    group: 'Deployments',
    summary: 'List what is in service where, and its versions',
    load: () => import('./verbs/deployments.ts'),
  },
  {
    name: 'targets',
    group: 'Deployments',
    summary: 'List machines, containers and deployments here, whoever made them',
    load: () => import('./verbs/targets.ts'),
  },
  {
    name: 'undeploy',
    group: 'Deployments',
    summary: 'Take a target out of service again',
    load: () => import('./verbs/undeploy.ts'),
  },
  {
    name: 'plan',
    group: 'Deployments',
    summary: 'Show what apply would fetch and deploy',
    load: () => import('./verbs/plan.ts'),
  },
  {
    name: 'apply',
    group: 'Deployments',
    summary: 'Fetch what the deployments of cellar.yaml need, then deploy them',
    load: () => import('./verbs/apply.ts'),
  },
  {
    name: 'gc',
    group: 'Store',
    summary: 'Remove what nothing refers to',
    load: () => import('./verbs/gc.ts'),
  },
  {
    name: 'fsck',
    group: 'Store',
    summary: 'Read and check everything the store holds',
    load: () => import('./verbs/fsck.ts'),
  },
  {
    name: 'du',
    group: 'Store',
    summary: 'Show what images cost and share',
    load: () => import('./verbs/du.ts'),
  },
  {
    name: 'doctor',
    group: 'Store',
    summary: 'Check what this machine can do for the store',
    load: () => import('./verbs/doctor.ts'),
  },
  {
    name: 'completion',
    group: 'General',
    summary: 'Print the completion script of a shell',
    load: () => import('./verbs/completion.ts'),
  },
  {
    name: 'help',
    group: 'General',
    summary: 'Explain a verb, or how images are named',
    load: () => import('./verbs/help.ts'),
  },
  {
    name: 'version',
    group: 'General',
    summary: 'Print the version',
    load: () => import('./verbs/version.ts'),
  },
  {
    name: '__complete',
    group: 'General',
    summary: 'Answer a shell that completes a command line',
    load: () => import('./verbs/complete.ts'),
    hidden: true,
  },
];

export const visibleVerbs: readonly VerbEntry[] = verbs.filter(({ hidden }) => hidden !== true);

export function findVerb(name: string): VerbEntry | undefined {
  return verbs.find((verb) => verb.name === name);
}
