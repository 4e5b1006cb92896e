/** `cellar deploy` on the command line. */
import { short } from '../render/facts.ts';
import { formatElapsed } from '../render/units.ts';
import { defineVerb, required, text, toggle } from '../spec.ts';
import { bytes, checkoutMethod, number, octal, ownerOption, settings } from '../values.ts';
import { dryRun, platform, reference } from './common.ts';

export const verb = defineVerb({
  description: [
    'Puts a complete, verified version beside what is in service and switches in one step; readers see the old version or the new one. The same content with the same parameters changes nothing.',
    'After the switch --on-change runs, then --check; when either fails the version before is put back. A handler that a crash kept from running is run by the next deploy.',
    'Earlier versions stay, pinned, for cellar rollback.',
  ],
  args: [reference(), required('TARGET', "Where: kind:rest ('cellar help names')", 'target')],
  options: {
    onChange: text('CMD', 'Run this in a shell after the switch'),
    check: text('CMD', 'Run this then; when it fails the version before is put back'),
    keep: number('N', 'Earlier versions to keep (default 2)'),
    writable: toggle('Let the version be written to while it is in service', 'w'),
    method: checkoutMethod("Checkout method (default: auto; see 'cellar checkout --help')"),
    quota: bytes('What the version may hold in all, by methods that have quotas: btrfs, lvm, zfs'),
    mode: octal('Permission bits of the file or the top directory'),
    owner: ownerOption(),
    set: settings(),
    vars: text('FILE', 'More of them: a line KEY=VALUE each', 'file'),
    stop: text('CMD', 'Stop what runs on the target before the switch'),
    start: text('CMD', 'Start it again afterwards'),
    base: toggle('lxc: only: a stopped container that lxc-copy --snapshot clones'),
    level: number('N', 'How hard to compress, for targets that do'),
    record: text(
      'PATH',
      'Where the record lies in the tree, or none (default: .deployment.json in a tree that is written to)',
    ),
    nest: {
      ...settings(),
      value: 'PATH=REF',
      summary:
        'An initramfs of another image within the tree, packed by the suffix of PATH: .gz, .xz, .zst; may be given several times',
    },
    platform,
    offline: toggle('Fetch nothing that the store lacks'),
    force: toggle('Deploy even if nothing changed; set aside what no deployment made'),
    dryRun,
  },
  examples: [
    {
      command: "cellar deploy nova:29.1 dir:/openstack/venvs/nova --on-change 'systemctl restart nova-api'",
      does: 'a virtualenv, switched at once',
    },
    {
      command: 'cellar deploy kubelet:1.34 file:/usr/local/bin/kubelet --mode 0755',
      does: 'a binary',
    },
  ],
  async run({ args: [ref, target], options, context }) {
    const { deploy } = await import('../../ops/deploy.ts');
    const { parsePlatform } = await import('../../core/platform.ts');
    const { platform: on, set, vars, writable, nest, ...rest } = options;
    const result = await deploy(context, {
      ...rest,
      reference: ref,
      target,
      platform: on === undefined ? undefined : parsePlatform(on),
      writable: writable ? true : undefined,
      nested: Object.entries(nest).map(([path, name]) => ({ path, reference: name })),
      parameters: { ...(vars === undefined ? {} : (await import('../vars-file.ts')).readVars(vars)), ...set },
    });
    const { change, version, previous, content, method, elapsedMs } = result;
    const what = result.dryRun && change === 'deployed' ? 'would deploy' : change;
    const detail = [
      short(content),
      ...(method === undefined ? [] : [method]),
      ...(previous === undefined || rest.keep === 0 ? [] : [`version ${previous} is kept`]),
      formatElapsed(elapsedMs),
    ];
    return {
      result: { ...result },
      lines: (style) => [`${result.target}  ${style.bold(`${what}: version ${version}`)}`, detail.join(', ')],
    };
  },
});
