/** `cellar add` on the command line. */
import type { Setting } from '../../config/edit.ts';
import { count } from '../render/units.ts';
import { table } from '../render/table.ts';
import { choice, defineVerb, list, optional, text, toggle } from '../spec.ts';
import { usage } from '../usage.ts';
import { digest, labels, number } from '../values.ts';
import { dryRun } from './common.ts';

export const verb = defineVerb({
  description: [
    'NAME becomes an entry of the configuration that the next `cellar sync` pulls. The file is ./cellar.yaml, else /etc/cellar/cellar.yaml, or what --config names; without one ./cellar.yaml is made. Order and comments of the file stay. An entry that is there with the same settings is left alone; one with other settings is refused.',
    'NAME and SOURCE may hold the variables of the configuration, as ${release}.',
    '--from takes a list with a URL or the name of an image on each line, as kubespray writes them (files.list, images.list), or a directory that `wget -x` filled, whose links are passed over. Files are named files/<host>/<path> and kept as they are, images by the name that the list has. Characters that a reference cannot hold are written as __ and two hex digits (a capital L is __4c), with a 0 before them at the beginning of a component.',
  ],
  args: [
    optional('NAME', 'The reference to keep it as', 'reference'),
    optional('SOURCE', "Where it comes from; 'cellar help names' lists the kinds", 'file'),
  ],
  options: {
    from: text('PATH', 'Add what this list or directory names, in place of NAME and SOURCE', 'file'),
    verify: choice(['strongest', 'signature', 'checksum', 'no'], 'What must be checked'),
    sha256: digest('Digest that the file must have'),
    keyring: list('FILE', 'OpenPGP keys to trust', 'file'),
    refresh: text('TIME', "How often sync asks for a newer version: 6h, 1d, 'always' or 'never'"),
    expires: text('TIME', 'When it ceases to be good: 90d after the pull, or seconds since the epoch'),
    keep: number('N', 'Earlier versions to keep'),
    platform: list('OS/ARCH', "For this platform; 'all' for every one; may be given several times"),
    mirror: list('URL', 'Another place with the same files; may be given several times'),
    label: labels(),
    pin: toggle('Protect it from removal and eviction'),
    group: list('NAME', 'A group that it belongs to; may be given several times'),
    dryRun,
  },
  examples: [
    {
      command: 'cellar add debian:13 https://images.example.org/debian/rootfs.tar.xz --refresh 1d --pin',
      does: 'a root file system that is looked for once a day',
    },
    { command: 'cellar add nginx docker://docker.io/library/nginx:1.29 --group web', does: 'an OCI image' },
    { command: 'cellar add --from files.list --verify no --dry-run', does: 'what a list would add' },
    { command: 'cellar add --from mirror/', does: 'files that wget -x brought into mirror/' },
  ],
  makesConfig: true,
  async run({ args: [name, source], options, context }) {
    const { from, dryRun: isDry } = options;
    if (from !== undefined && (name !== undefined || options.sha256 !== undefined))
      throw usage(
        `--from brings names and sources of its own; ${name === undefined ? '--sha256' : 'NAME'} is one too many`,
      );
    const { add } = await import('../../ops/add.ts');
    const result = await add(context, { name, source, from, settings: settingsOf(options), dryRun: isDry });
    for (const skipped of result.skipped)
      context.events({ type: 'note', text: `${skipped} belongs to no host and is passed over` });
    return {
      result: { ...result },
      lines: () => (isDry ? result.text.trimEnd().split('\n') : linesOf(result)),
    };
  },
});

function linesOf({
  added,
  unchanged,
  config,
}: Awaited<ReturnType<typeof import('../../ops/add.ts').add>>): string[] {
  const rows = added.map(({ reference, source }) => [reference, source]);
  const kept = unchanged.length === 0 ? [] : [`${count(unchanged.length, 'image')} in ${config} already`];
  return [...table(rows), ...kept];
}

interface Chosen {
  readonly verify?: string | undefined;
  readonly sha256?: string | undefined;
  readonly keyring: readonly string[];
  readonly refresh?: string | undefined;
  readonly expires?: string | undefined;
  readonly keep?: number | undefined;
  readonly platform: readonly string[];
  readonly mirror: readonly string[];
  readonly label: Readonly<Record<string, string>>;
  readonly pin: boolean;
  readonly group: readonly string[];
}

/** As a person would write them: one thing as itself, several as a list, what was not asked for not at all. */
function settingsOf(chosen: Chosen): Record<string, Setting> {
  const several = (values: readonly string[]): Setting | undefined =>
    values.length === 0 ? undefined : values.length === 1 ? values[0] : values;
  const settings = {
    mirrors: several(chosen.mirror),
    verify: chosen.verify,
    sha256: chosen.sha256,
    keyring: several(chosen.keyring),
    refresh: chosen.refresh,
    expires: chosen.expires,
    keep: chosen.keep,
    platform: chosen.platform.includes('all') ? 'all' : several(chosen.platform),
    labels: Object.keys(chosen.label).length === 0 ? undefined : chosen.label,
    pin: chosen.pin ? true : undefined,
    groups: several(chosen.group),
  };
  return Object.fromEntries(
    Object.entries(settings).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  );
}
