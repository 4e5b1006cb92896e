/** Debian's Docker, podman and containerd get images byte for byte, and fetch of a next version only what is new. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cellar, cellarOk } from '../support/cellar.ts';
import { buildImage, writeLayout, type BuiltImage } from '../support/oci-image.ts';
import { needs, quote, run, sh } from '../support/run.ts';
import { preparePodman, startContainerd, startDocker, type RuntimePeer } from '../support/runtimes.ts';
import { makeScratch } from '../support/scratch.ts';

const scratch = makeScratch('runtimes');
const file = (name: string): string => join(scratch.path, name);
const store = file('store');
const base = randomBytes(3 << 20);
let images: readonly BuiltImage[] = [];

before(async () => {
  const layers: Buffer[] = [];
  for (const [name, content] of [
    ['base', base],
    ['one', 'version one'],
    ['two', 'version two'],
  ] as const) {
    mkdirSync(file(`${name}/srv`), { recursive: true });
    writeFileSync(file(`${name}/srv/${name === 'base' ? 'base' : 'app'}`), content);
    layers.push((await run(['tar', '-C', file(name), '-cf', '-', '.'])).stdout);
  }
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
  images = [1, 2].map((top) => buildImage([layers[0]!, layers[top]!], { architecture }));
  writeLayout(file('layout'), { one: images[0]!, two: images[1]! });
  for (const name of ['one', 'two'])
    await cellarOk(['pull', `oci:${file('layout')}:${name}`, `app:${name}`], { store });
  await cellarOk(['import', file('one'), 'tree:1'], { store });
});

after(() => scratch[Symbol.dispose]());

interface Peer {
  readonly kind: string;
  readonly start: (directory: string) => Promise<RuntimePeer>;
  readonly programs: readonly string[];
  readonly name: string;
  /** Shell: the digest of the image that `$NAME` names. */
  readonly digest: string;
  readonly expected: (image: BuiltImage) => string;
  /** Shell: all names, one a line. */
  readonly names: string;
  /** Shell: the file /srv/app in the image, where that needs no more than the runtime's own storage. */
  readonly read: string;
  /** Shell: makes another image be named by `$NAME`, out of the one that `$OTHER` names. */
  readonly take: string;
  /** Shell: makes a container of `$NAME`, and removes it; for runtimes that do not give up an image then. */
  readonly hold?: readonly [string, string];
}

const configOf = ({ config }: BuiltImage): string => config.digest;
const peers: readonly Peer[] = [
  {
    kind: 'docker',
    start: startDocker,
    programs: ['dockerd', 'docker'],
    name: 'app:live',
    digest: `docker image inspect --format '{{.Id}}' "$NAME"`,
    expected: configOf,
    names: `docker image ls --format '{{.Repository}}:{{.Tag}}'`,
    read: `id=$(docker create "$NAME" none); docker export "$id" | tar -xO srv/app; docker rm "$id" >/dev/null`,
    hold: ['docker create --name holder "$NAME" none', 'docker rm holder'],
    take: 'docker tag "$OTHER" "$NAME"',
  },
  {
    kind: 'podman',
    start: preparePodman,
    programs: ['podman'],
    name: 'localhost/app:live',
    digest: `podman image inspect --format 'sha256:{{.Id}}' "$NAME"`,
    expected: configOf,
    names: `podman image ls --format '{{.Repository}}:{{.Tag}}'`,
    read: `cat "$(podman image mount "$NAME")/srv/app"; podman image unmount "$NAME" >/dev/null`,
    hold: ['podman create --name holder "$NAME" none', 'podman rm holder'],
    take: 'podman tag "$OTHER" "$NAME"',
  },
  {
    kind: 'containerd',
    start: startContainerd,
    programs: ['containerd', 'ctr'],
    name: 'lab/example.test/app:live',
    digest: `ctr -n lab images ls | awk -v n="\${NAME#lab/}" '$1 == n { print $3 }'`,
    expected: ({ manifest }) => manifest.digest,
    names: 'ctr -n lab images ls -q | sed s,^,lab/,',
    read: `mkdir -p "$DIR" && ctr -n lab images mount "\${NAME#lab/}" "$DIR" >/dev/null && cat "$DIR/srv/app"; ctr -n lab images unmount "$DIR" >/dev/null`,
    take: 'ctr -n lab images tag --force "${OTHER#lab/}" "${NAME#lab/}"',
  },
];

for (const peer of peers)
  describe(peer.kind, { skip: needs({ root: true, programs: peer.programs }) }, () => {
    const target = `${peer.kind}:${peer.name}`;
    let runtime: RuntimePeer;
    let reads = 0;
    before(async () => {
      runtime = await peer.start(file(peer.kind));
    });
    after(async () => await runtime?.[Symbol.asyncDispose]());
    const ask = async (script: string, name = peer.name, other = ''): Promise<string> => {
      const env = { ...runtime.env, NAME: name, OTHER: other, DIR: file(`${peer.kind}-${++reads}`) };
      return (await sh(script, { env })).trim();
    };
    const names = async (): Promise<string[]> => (await ask(peer.names)).split('\n').filter(Boolean).sort();
    /** @returns blobs and what was fetched of them, as the note says it */
    const deploy = async (reference: string, ...options: string[]): Promise<string> => {
      const done = await cellar(['deploy', reference, target, ...options], { store, env: runtime.env });
      assert.equal(done.code, 0, done.stderr);
      return /fetched (\d+ of \d+ blobs, .*)/.exec(done.stderr)?.[1] ?? 'nothing';
    };

    test('versions, back and away: byte for byte, and only what is new', async () => {
      const [one, two] = images as [BuiltImage, BuiltImage];
      assert.match(await deploy('app:one'), /^3 of 3 blobs, 3\.0 MiB$/);
      assert.equal(await ask(peer.digest), peer.expected(one));
      assert.equal(await ask(peer.read), 'version one');
      assert.equal(await deploy('app:one'), 'nothing');

      assert.match(await deploy('app:two'), /^2 of 3 blobs, \d+ B$/);
      assert.equal(await ask(peer.digest), peer.expected(two));
      assert.equal(await ask(peer.read), 'version two');
      assert.equal((await names()).length, 3);

      await cellarOk(['rollback', target], { store, env: runtime.env });
      assert.equal(await ask(peer.digest), peer.expected(one));
      await cellarOk(['undeploy', target], { store, env: runtime.env });
      assert.deepEqual(await names(), []);
    });

    test('a tree is an image of one layer; a failing check brings the old one back', async () => {
      assert.match(await deploy('tree:1'), /^2 of 2 blobs/);
      assert.equal(await ask(peer.read), 'version one');
      const before = await ask(peer.digest);
      const failed = await cellar(['deploy', 'app:two', target, '--check', 'false'], {
        store,
        env: runtime.env,
      });
      assert.match(failed.stderr, /E_DEPLOY_HANDLER/);
      assert.equal(await ask(peer.digest), before);
      assert.equal((await names()).length, 2);
      await cellarOk(['undeploy', target], { store, env: runtime.env });
      assert.deepEqual(await names(), []);
    });

    test('an image of another is left alone, and comes back after --force', async () => {
      const other = peer.name.replace(':live', ':other');
      await cellarOk(['deploy', 'app:two', `${peer.kind}:${other}`], { store, env: runtime.env });
      await ask(peer.take, peer.name, other);
      const before = await ask(peer.digest);
      const refused = await cellar(['deploy', 'app:one', target], { store, env: runtime.env });
      assert.match(refused.stderr, /E_TARGET_FOREIGN/);
      await deploy('app:one', '--force');
      assert.equal(await ask(peer.digest), peer.expected(images[0]!));
      await cellarOk(['undeploy', target], { store, env: runtime.env });
      assert.equal(await ask(peer.digest), before);
      await cellarOk(['undeploy', `${peer.kind}:${other}`], { store, env: runtime.env });
      assert.deepEqual(await names(), [peer.name]);
    });

    const { hold } = peer;
    if (hold !== undefined)
      test('a version that a container was made of stays until the container goes', async () => {
        const held = peer.name.replace(':live', ':held');
        const options = { store, env: runtime.env };
        const before = await names();
        await cellarOk(['deploy', 'app:one', `${peer.kind}:${held}`], options);
        await ask(hold[0], held);
        const first = await cellar(['--json', 'undeploy', `${peer.kind}:${held}`], options);
        assert.deepEqual([first.code, first.result?.['left']], [3, [1]]);
        await ask(hold[1]);
        const second = await cellarOk(['undeploy', `${peer.kind}:${held}`], options);
        assert.deepEqual([second['removed'], second['left']], [[1], []]);
        assert.deepEqual(await names(), before);
      });

    test('a damaged layer is named, and nothing of it stays', async () => {
      const damaged = file(`damaged-${peer.kind}`);
      await sh(`cp -a ${quote(store)} ${quote(damaged)}`);
      const layer = images[0]!.layers[1]!.digest.replace('sha256:', '');
      const object = join(damaged, 'objects', layer.slice(0, 2), layer.slice(2));
      await sh(
        `chmod u+w ${quote(object)}; printf x | dd of=${quote(object)} bs=1 seek=20 conv=notrunc status=none`,
      );
      const before = await names();
      const fresh = target.replace(':live', ':fresh');
      const failed = await cellar(['deploy', 'app:one', fresh], { store: damaged, env: runtime.env });
      assert.match(failed.stderr, /E_OBJECT_DAMAGED/);
      assert.deepEqual(await names(), before);
    });
  });
