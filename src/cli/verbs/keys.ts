/** `cellar keys` on the command line. */
import type { KeyInfo } from '../../ops/keys.ts';
import type { Outcome } from '../outcome.ts';
import { readPassphrase } from '../passphrase.ts';
import { table } from '../render/table.ts';
import { defineVerb, optional, text, toggle } from '../spec.ts';
import { usage } from '../usage.ts';
import { duration } from '../values.ts';
import type { Context } from '../../ops/context.ts';

const actions = ['ls', 'add', 'rm', 'new', 'export'] as const;

export const verb = defineVerb({
  description: [
    'ACTION is ls, add FILE, rm KEY, new NAME or export KEY. Pull trusts the keys that are listed here; export --sign signs with those that are marked secret. KEY is a fingerprint, the end of one, or part of a name.',
    'add takes any number of keys, binary or armoured, and joins them with what is known of them: that is how an extended or a revoked key gets here. Compare the fingerprints with those that their owners publish.',
    'new makes an Ed25519 key. With CELLAR_KEY_PASSPHRASE in the environment, or --passphrase-file, its secret half is kept encrypted.',
  ],
  args: [
    { ...optional('ACTION', 'ls (the default), add, rm, new or export'), choices: actions },
    {
      ...optional('WHAT', 'A file to add, a name for a new key, or the key that is meant', 'file'),
      completesAfter: { ls: 'none', new: 'none', rm: 'key', export: 'key' },
    },
  ],
  options: {
    expires: duration('A new key expires after this long (default: never)'),
    passphraseFile: text('FILE', 'File with the passphrase of a new key', 'file'),
    force: toggle('Remove a key whose secret half is here, too'),
  },
  examples: [
    { command: 'cellar keys add site-a.asc', does: 'trust what site A signs' },
    {
      command: "cellar keys new 'Site B <ops@b.example.org>' --expires 2y",
      does: 'a key to sign exports with',
    },
    {
      command: 'cellar keys export ops@b.example.org > site-b.asc',
      does: 'its public half, for others to add',
    },
  ],
  async run({ args: [given = 'ls', what], options, context }) {
    const action = actions.find((name) => name === given);
    if (action === undefined)
      throw usage(`there is no 'cellar keys ${given}'`, `choose one of ${actions.join(', ')}`);
    if (action === 'ls') {
      if (what !== undefined) throw usage("'cellar keys ls' takes nothing more");
      return await listed(context);
    }
    if (what === undefined) throw usage(`'cellar keys ${action}' needs ${objects[action]}`);
    const ops = await import('../../ops/keys.ts');
    if (action === 'export') {
      const result = await ops.exportKey(context, { key: what });
      return { result: { ...result }, lines: () => result.armoured.trimEnd().split(/\r?\n/) };
    }
    if (action === 'add') {
      const keys = await ops.addKeys(context, { file: what });
      return { result: { keys }, lines: () => keyTable(keys, (index) => keys[index]!.change) };
    }
    const key =
      action === 'rm'
        ? await ops.removeKey(context, { key: what, force: options.force })
        : await ops.newKey(context, {
            user: what,
            expires: options.expires,
            passphrase: readPassphrase(options.passphraseFile),
          });
    return { result: { ...key }, lines: () => keyTable([key], () => (action === 'rm' ? 'removed' : 'new')) };
  },
});

const objects = {
  add: 'the FILE with the keys',
  rm: 'the KEY to remove',
  new: "a NAME, for instance 'Site <ops@example.org>'",
  export: 'the KEY to export',
} as const;

async function listed(context: Context): Promise<Outcome> {
  const { listKeys } = await import('../../ops/keys.ts');
  const keys = await listKeys(context);
  return { result: { keys }, lines: () => keyTable(keys, () => '') };
}

function keyTable(keys: readonly KeyInfo[], remark: (index: number) => string): string[] {
  if (keys.length === 0) return [];
  const rows = keys.map(({ fingerprint, user, algorithm, state, expires, secret }, index) => [
    fingerprint,
    user,
    algorithm,
    state === 'valid' ? (expires === undefined ? 'valid' : `until ${day(expires)}`) : state,
    secret ? 'secret' : '',
    remark(index),
  ]);
  return table(rows, { head: ['FINGERPRINT', 'USER', 'KIND', 'STATE', '', ''] });
}

function day(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}
