/** The text that defines an LXC container (lxc.container.conf(5)): made once, and from then on only told where its root is. */
import { randomBytes } from 'node:crypto';

export interface LxcPlace {
  readonly name: string;
  /** Directory of the container. */
  readonly path: string;
}

const rootfsLine = /^[ \t]*lxc\.rootfs\.path[ \t]*=[ \t]*(.*?)[ \t]*$/gm;

/** What it says of its root file system; the last line counts. `dir:/var/lib/lxc/web/rootfs`. */
export function rootfsOf(config: string): string | undefined {
  return [...config.matchAll(rootfsLine)].at(-1)?.[1];
}

/** A directory that holds the root, where it is one. */
export function directoryOf(rootfs: string | undefined): string | undefined {
  const plain = rootfs?.replace(/^dir:/, '');
  return plain?.startsWith('/') === true ? plain : undefined;
}

/** The same with another root; without one where `rootfs` is absent. Everything else stays as it is, to the byte. */
export function withRootfs(config: string, rootfs: string | undefined): string {
  const last = [...config.matchAll(rootfsLine)].at(-1);
  const line = rootfs === undefined ? '' : `lxc.rootfs.path = ${rootfs}\n`;
  if (last !== undefined)
    return config.slice(0, last.index) + line + config.slice(last.index + last[0].length).replace(/^\n/, '');
  return line === '' ? config : `${config}${config === '' || config.endsWith('\n') ? '' : '\n'}${line}`;
}

/** What an image's own metadata says, with this machine's defaults around it, as lxc-create(1) puts them together. */
export function newDefinition(
  { name, path }: LxcPlace,
  {
    distribution,
    defaults,
    hasFstab,
  }: { distribution: string | undefined; defaults: string; hasFstab: boolean },
): string {
  const own = defaults.split('\n').filter((line) => /^[ \t]*lxc\./.test(line));
  const isNetwork = (line: string): boolean => /^[ \t]*lxc\.net\./.test(line);
  const lines = [
    '# Distribution configuration',
    (distribution ?? `lxc.include = ${lxcTemplateConfig}/common.conf`).trimEnd(),
    '',
    '# Container specific configuration',
    ...own.filter((line) => !isNetwork(line)),
    ...(hasFstab ? [`lxc.mount.fstab = ${path}/fstab`] : []),
    `lxc.uts.name = ${name}`,
    '',
    '# Network configuration',
    ...own.filter(isNetwork).map(withAddress),
  ];
  return substitute(`${lines.join('\n').trimEnd()}\n`, { name, path });
}

export const lxcTemplateConfig = '/usr/share/lxc/config';
const hooks = '/usr/share/lxc/hooks';

/** The five placeholders that lxc-download(1) knows. */
export function substitute(text: string, { name, path }: LxcPlace): string {
  const values: Readonly<Record<string, string>> = {
    LXC_NAME: name,
    LXC_PATH: path,
    LXC_ROOTFS: `${path}/rootfs`,
    LXC_TEMPLATE_CONFIG: lxcTemplateConfig,
    LXC_HOOK_DIR: hooks,
  };
  return text.replace(
    /LXC_(?:NAME|PATH|ROOTFS|TEMPLATE_CONFIG|HOOK_DIR)/g,
    (placeholder) => values[placeholder]!,
  );
}

/** Files that it includes. */
export function includesOf(config: string): string[] {
  return [...config.matchAll(/^[ \t]*lxc\.include[ \t]*=[ \t]*(.*?)[ \t]*$/gm)].map(([, file]) => file!);
}

/** `00:16:3e:xx:xx:xx` is for whoever makes the container to fill in. */
function withAddress(line: string): string {
  const [, key, address] = /^([ \t]*lxc\.net\.\d+\.hwaddr[ \t]*=)(.*)$/.exec(line) ?? [];
  if (key === undefined || address === undefined) return line;
  return key + address.replace(/x/gi, () => (randomBytes(1)[0]! & 0x0f).toString(16));
}
