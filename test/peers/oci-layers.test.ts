/**
 * What layers come to, entry by entry as umoci unpacks them and as buildah mounts them: our own stacks, images that
 * umoci and buildah made by changing a tree with every oddity, and hard links and whiteouts among them.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { toBytes } from '../../src/core/bytes.ts';
import { unpackOci } from '../../src/ops/ingest/oci-layers.ts';
import { openStore } from '../../src/store/store.ts';
import { beginTransaction } from '../../src/store/transaction.ts';
import { scanDirectory } from '../../src/tree/directory.ts';
import type { Entry } from '../../src/tree/entry.ts';
import { buildImage, sha256, writeLayout } from '../support/oci-image.ts';
import { stacks } from '../support/oci-stacks.ts';
import { needs, quote, sh } from '../support/run.ts';
import { makeScratch } from '../support/scratch.ts';
import { archive } from '../support/tar-builder.ts';
import { buildTree } from '../support/tree.ts';

/** What umoci does otherwise, and why we do not. */
const differently: Readonly<Record<string, string>> = {
  'the same, whatever the order of the members': 'umoci goes by the order of members',
  'a directory that is only implied over a file':
    'umoci before 0.5 refuses it; engines with overlayfs do as we do',
  'whiteouts below a directory that its layer makes a symlink':
    'umoci follows it, and takes away what it points to',
  'a whiteout below a file': 'umoci before 0.5 refuses it',
  'a hard link to a file that its layer takes away, before or after it': 'umoci goes by the order of members',
  'what aufs kept for itself': 'umoci takes it for whiteouts and misses the link target',
};

suite('umoci', { skip: needs({ root: true, programs: ['umoci'] }) }, () => {
  for (const [name, layers, wanted] of stacks)
    if (typeof wanted !== 'string')
      test(name, { skip: differently[name] ?? false }, async () => {
        using scratch = makeScratch('umoci');
        const layout = join(scratch.path, 'image');
        writeLayout(layout, { it: buildImage(layers.map((members) => archive(...members))) });
        await sameAsUmoci(layout, scratch.path);
      });

  test('changes that umoci packs', async () => {
    using tree = buildTree({ files: 120, seed: 31, largestXattr: 1000, packable: true });
    using scratch = makeScratch('umoci');
    const layout = join(scratch.path, 'image');
    const bundle = join(scratch.path, 'bundle');
    const root = join(bundle, 'rootfs');
    const image = quote(`${layout}:it`);
    await sh(`umoci init --layout ${quote(layout)}; umoci new --image ${image}
umoci unpack --image ${image} ${quote(bundle)}
cp -a ${quote(`${tree.root}/.`)} ${quote(root)}; cd ${quote(root)}; rm odd/.wh.*
umoci repack --image ${image} ${quote(bundle)}`);
    for (const script of changes) {
      await sh(`rm -rf ${quote(bundle)}; umoci unpack --image ${image} ${quote(bundle)}; cd ${quote(root)}
${script}
umoci repack --image ${image} ${quote(bundle)}`);
    }
    await sh(`umoci insert --image ${image} ${quote(tree.root)}/odd/links /inserted`);
    await sameAsUmoci(layout, scratch.path);
  });
});

test('changes that buildah commits', { skip: needs({ root: true, programs: ['buildah'] }) }, async () => {
  using tree = buildTree({ files: 120, seed: 32, largestXattr: 1000, packable: true });
  using scratch = makeScratch('buildah');
  const layout = join(scratch.path, 'image');
  const buildah = `buildah --root ${quote(join(scratch.path, 'graph'))} --runroot ${quote(join(scratch.path, 'run'))} --storage-driver vfs`;
  const found = await sh(`
step() {
  container=$(${buildah} from --pull-never "$1")
  root=$(${buildah} mount "$container")
  (cd "$root" && sh -ec "$2")
  ${buildah} commit --quiet "$container" "$3" >/dev/null
}
step scratch ${quote(`cp -a ${quote(`${tree.root}/.`)} .; ${simpler}`)} one
${changes.map((script, index) => `step ${index === 0 ? 'one' : `two${index - 1}`} ${quote(script)} two${index}`).join('\n')}
${buildah} push --quiet two${changes.length - 1} oci:${quote(layout)}:it
${buildah} mount $(${buildah} from --pull-never two${changes.length - 1})`);
  assertSame(await ours(layout, scratch.path), found.trimEnd());
});

/** Without what a layer, or only buildah's storage, cannot hold: names like whiteouts, empty xattrs, times before 1970. */
const simpler = `rm odd/.wh.*; setfattr -x user.empty odd/attributed; find . ! -newermt @0 -exec touch -h -d @1 {} +`;

/** Run in the root one after another, a layer for each. */
const changes = [
  // Whiteouts, a file and a directory in each other's place, a directory made anew, a hard link across layers.
  `rm odd/links/a-earlier; rm -rf odd/deep; ln odd/mode-400 odd/linked-later
rm -rf odd/empty-directory; echo file >odd/empty-directory
rm odd/empty; mkdir odd/empty; echo in >odd/empty/in
rm -rf odd/links; mkdir odd/links; echo new >odd/links/new; chmod 0711 odd/links
first=$(ls | grep -m1 ^dir-); rm -rf "$first"; ln -s odd "$first"`,
  `echo more >>odd/mode-4755; chmod 4751 odd/mode-4755; setfattr -n user.later -v yes odd/mode-777 2>/dev/null || :
mv odd/empty odd/moved; rm odd/linked-later; mkdir -p odd/deep/again; mknod odd/again c 1 5
touch -d @1234567890 odd`,
];

async function sameAsUmoci(layout: string, scratch: string): Promise<void> {
  const root = join(scratch, 'unpacked');
  await sh(`umoci raw unpack --image ${quote(`${layout}:it`)} ${quote(root)}`);
  assertSame(await ours(layout, scratch), root);
}

/** Entries by `unpackOci`, from the layers as they lie in the layout. */
async function ours(layout: string, scratch: string): Promise<Entry[]> {
  const read = (path: string): { [key: string]: never } =>
    JSON.parse(readFileSync(join(layout, path), 'utf8')) as { [key: string]: never };
  const path = (digest: string): string => join(layout, 'blobs', digest.replace(':', '/'));
  const { manifests } = read('index.json') as unknown as { manifests: { digest: string }[] };
  const manifest = JSON.parse(readFileSync(path(manifests.at(-1)!.digest), 'utf8')) as {
    layers: { digest: string; mediaType: string }[];
  };
  const layers = manifest.layers.map(({ digest, mediaType }) => ({
    ...{ path: path(digest), mediaType },
    digest: digest.replace('sha256:', ''),
  }));
  using store = openStore(join(scratch, 'store'), { create: true });
  await using transaction = await beginTransaction(store);
  const limits = { maxSize: 1 << 30, maxFiles: 100_000 };
  const { signal } = new AbortController();
  return await unpackOci(transaction, { source: 'image', layers, limits, signal, events: () => undefined });
}

function assertSame(found: readonly Entry[], root: string): void {
  const wanted = [...scanDirectory(root)].map(({ entry }) => entry);
  // What no layer says of a directory is the moment of its making there.
  const implied = new Set(found.filter(isImplied).map(({ path }) => path));
  const comparable = (entries: readonly Entry[]): string[] =>
    entries.map(({ digest, ...entry }) => {
      const content = entry.type === 'file' && entry.size > 0 ? (digest ?? digestOf(root, entry)) : undefined;
      const moment = implied.has(entry.path) ? { mtime: 0, mtimeNsec: 0 } : {};
      const bare = implied.has('/') && entry.path === '/' ? { mode: 0o755 } : {};
      return JSON.stringify({ ...entry, ...moment, ...bare, content });
    });
  const [mine, others] = [comparable(found), comparable(wanted)];
  assert.deepEqual(
    {
      missing: others.filter((line) => !mine.includes(line)),
      other: mine.filter((line) => !others.includes(line)),
    },
    { missing: [], other: [] },
  );
}

function isImplied({ type, mode, mtime }: Entry): boolean {
  return type === 'directory' && mode === 0o755 && mtime === 0;
}

function digestOf(root: string, { path }: Entry): string {
  return sha256(readFileSync(toBytes(`${root}${path}`)));
}
