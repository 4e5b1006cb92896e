/** What is exported for container tools is read by them: by skopeo from every form, by podman and Docker as they load. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { cellar, cellarOk } from '../support/cellar.ts';
import { buildImage, writeLayout, type BuiltImage } from '../support/oci-image.ts';
import { needs, run, sh } from '../support/run.ts';
import { preparePodman, startDocker, type RuntimePeer } from '../support/runtimes.ts';
import { makeScratch, type Scratch } from '../support/scratch.ts';
import { archive, directory, file } from '../support/tar-builder.ts';

let scratch: Scratch;
let store: string;
let image: BuiltImage;
const at = (name: string): string => join(scratch.path, name);

before(async () => {
  scratch = makeScratch('oci-export');
  store = at('store');
  image = buildImage([archive(directory('srv/'), file('srv/app', 'one')), archive(file('srv/app', 'two'))]);
  writeLayout(at('layout'), { it: image });
  await cellarOk(
    ['pull', `oci:${at('layout')}:it`, 'example.org/it:1', '--verify', 'no', '--platform', 'linux/amd64'],
    {
      store,
    },
  );
  mkdirSync(at('tree/srv'), { recursive: true });
  writeFileSync(at('tree/srv/app'), 'tree');
  await cellarOk(['import', at('tree'), 'plain:2', '--platform', 'linux/amd64'], { store });
  for (const [name, reference] of [
    ['kept', 'example.org/it:1'],
    ['tree', 'plain:2'],
  ] as const) {
    await cellarOk(['export', reference, at(`${name}.oci`), '--format', 'oci'], { store });
    await cellarOk(['export', reference, at(`${name}.oci.tar`)], { store });
    await cellarOk(['export', reference, at(`${name}.docker.tar`)], { store });
  }
});

after(() => scratch[Symbol.dispose]());

test('a kept image goes out byte for byte; a tree is the same image in every form', async () => {
  const blobs = readdirSync(at('kept.oci/blobs/sha256')).sort();
  const all = [image.manifest, image.config, ...image.layers];
  assert.deepEqual(blobs, all.map(({ digest }) => digest.replace('sha256:', '')).sort());
  for (const { digest, bytes } of all)
    assert.deepEqual(readFileSync(at(`kept.oci/blobs/sha256/${digest.slice(7)}`)), bytes);
  for (const name of ['kept', 'tree']) {
    const unpack = (form: string): string => `mkdir ${form}.d && tar -xf ${name}.${form}.tar -C ${form}.d`;
    await sh(
      `${unpack('oci')}; diff -r oci.d ${name}.oci; ${unpack('docker')}; rm docker.d/manifest.json
diff -r docker.d ${name}.oci; rm -r oci.d docker.d`,
      { cwd: scratch.path },
    );
    await cellarOk(['export', name === 'kept' ? 'example.org/it:1' : 'plain:2', at('again.oci.tar')], {
      store,
    });
    assert.deepEqual(readFileSync(at('again.oci.tar')), readFileSync(at(`${name}.oci.tar`)));
  }
});

test('where it cannot go, and what is none', async () => {
  const fails = async (code: string, ...args: string[]): Promise<void> => {
    const done = await cellar(['export', ...args], { store });
    assert.match(done.stderr, new RegExp(code));
    assert.notEqual(done.code, 0);
  };
  await fails('E_DESTINATION_EXISTS', 'plain:2', at('tree.oci'), '--format', 'oci');
  await fails('E_USAGE', 'plain:2', '-', '--format', 'oci');
  await fails('E_USAGE', 'plain:2', at('x.oci'), '--format', 'oci', '--sums');
  mkdirSync(at('empty'));
  await cellarOk(['export', 'plain:2', at('empty'), '--format', 'oci'], { store });
  assert.deepEqual(readdirSync(at('empty')).sort(), ['blobs', 'index.json', 'oci-layout']);
  const sums = await cellarOk(['export', 'plain:2', at('sums.oci.tar'), '--sums'], { store });
  assert.equal((await sh(`sha256sum <${at('sums.oci.tar')}`)).slice(0, 64), sums['sha256']);
});

test('skopeo reads every form', { skip: needs({ programs: ['skopeo'] }) }, async () => {
  for (const [name, tag] of [
    ['kept', 'example.org/it:1'],
    ['tree', 'plain:2'],
  ] as const) {
    const forms = [`oci:${at(`${name}.oci`)}`, `oci-archive:${at(`${name}.oci.tar`)}`];
    const digests: string[] = [];
    for (const form of forms) digests.push(await sh(`skopeo inspect --raw ${form} | sha256sum`));
    assert.equal(new Set(digests).size, 1);
    if (name === 'kept') assert.equal(`sha256:${digests[0]!.slice(0, 64)}`, image.manifest.digest);
    const docker = `docker-archive:${at(`${name}.docker.tar`)}`;
    const config = await sh(`skopeo inspect --config --raw ${docker}`);
    assert.equal(config, await sh(`skopeo inspect --config --raw ${forms[0]}`));
    assert.match(await sh(`skopeo list-tags ${docker}`), new RegExp(`"[^"]*${tag}"`));
    // All of it is there, and is what it says.
    await sh(`rm -rf copied && skopeo copy -q ${docker} oci:copied:it && test -d copied`, {
      cwd: scratch.path,
    });
  }
});

/** `program load` of each archive, then the one file of the image; `create` and `export` run nothing of it. */
async function loads(program: string, peer: RuntimePeer, forms: readonly string[]): Promise<void> {
  const { env } = peer;
  for (const form of forms)
    for (const [name, content] of [
      ['kept', 'two'],
      ['tree', 'tree'],
    ] as const) {
      const said = await run([program, 'load', '-i', at(`${name}.${form}.tar`)], { env });
      assert.equal(said.code, 0, `${form}: ${said.stderr}`);
      const loaded = /Loaded image(?: ID)?(?:\(s\))?: (\S+)/.exec(said.stdout.toString())?.[1];
      assert.match(loaded ?? '', name === 'kept' ? /^example\.org\/it:1$/ : /plain:2$/);
      const read = `id=$(${program} create ${loaded} none); ${program} export "$id" | tar -xO srv/app; ${program} rm "$id" >/dev/null`;
      assert.equal(await sh(read, { env }), content, form);
    }
}

test('podman loads both archives', { skip: needs({ root: true, programs: ['podman'] }) }, async () => {
  await using peer = await preparePodman(at('podman'));
  await loads('podman', peer, ['oci', 'docker']);
});

test(
  'Docker loads its archive',
  { skip: needs({ root: true, programs: ['dockerd', 'docker'] }) },
  async () => {
    await using peer = await startDocker(at('docker'));
    await loads('docker', peer, ['docker']);
  },
);
