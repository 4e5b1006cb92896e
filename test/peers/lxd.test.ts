/**
 * Images that the real LXD took in and exported, served as simplestreams: what is offered is what LXD has, under the
 * fingerprint by which LXD knows it, and a squashfs root becomes the tree that was packed.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { sha256 } from '../../src/core/digest.ts';
import { ignoreEvents } from '../../src/core/events.ts';
import { createHttpClient } from '../../src/net/http-client.ts';
import type { Offer, Part } from '../../src/source/port.ts';
import { simplestreamsDriver } from '../../src/source/simplestreams.ts';
import { squashfsToTar } from '../../src/source/squashfs.ts';
import { cellarOk } from '../support/cellar.ts';
import { compareTrees } from '../support/compare.ts';
import { startImageServer, type ImageServer } from '../support/image-server.ts';
import { needs, quote, sh } from '../support/run.ts';
import { makeScratch, type Scratch } from '../support/scratch.ts';
import { streamsIndex } from '../support/simplestreams.ts';
import { buildTree, type TestTree } from '../support/tree.ts';

const programs = ['lxd', 'lxc', 'mksquashfs', 'sqfs2tar', 'tar', 'xz', 'getfattr'];
const metadata = 'architecture: x86_64\ncreation_date: 1767225600\nproperties: {os: Test, release: one}\n';

describe('images of LXD', { skip: needs({ programs, root: true }) }, () => {
  let scratch: Scratch;
  let tree: TestTree;
  let server: ImageServer;
  let fingerprints: Readonly<Record<'split' | 'unified', string>>;
  const file = (name: string): string => join(scratch.path, name);

  before(async () => {
    scratch = makeScratch('lxd');
    tree = buildTree({ files: 100, seed: 31, packable: true });
    await packImages();
    fingerprints = await throughLxd();
    server = await startImageServer(stream(fingerprints));
  });
  after(async () => {
    await server?.[Symbol.asyncDispose]();
    tree?.[Symbol.dispose]();
    scratch?.[Symbol.dispose]();
  });

  test('a split image: fingerprint, digests, and its squashfs root', async () => {
    const { parts, labels } = await look('split');
    assert.equal(labels['org.linuxcontainers.fingerprint'], fingerprints.split);
    const [root, meta] = await Promise.all(parts.map(fetched));
    assert.equal(sha256(Buffer.concat([meta!, root!])), fingerprints.split);
    writeFileSync(file('root.squashfs'), root!);
    const tar = squashfsToTar(file('root.squashfs'), new AbortController().signal);
    const store = file('store');
    await cellarOk(['import', '-', 'split'], { store, input: Buffer.concat(await Array.fromAsync(tar)) });
    await cellarOk(['export', 'split', file('split.tar')], { store });
    mkdirSync(file('split'));
    await sh(
      `tar -C ${quote(file('split'))} --numeric-owner --xattrs --xattrs-include='*' -xpf ${quote(file('split.tar'))}`,
    );
    // squashfs stores no POSIX ACLs, and times as 32 bits without a sign.
    const ignoreXattr = (name: string): boolean => name.startsWith('system.');
    const differences = await compareTrees(tree.root, file('split'), { ignoreXattr, ignore: ['mtime'] });
    assert.deepEqual(differences, []);
  });

  test('a unified image: one archive, its digest is the fingerprint, the root lies below rootfs', async () => {
    const { parts, labels } = await look('unified');
    assert.equal(parts.length, 1);
    const [content] = parts;
    assert.deepEqual([content!.subpath, content!.sha256], ['rootfs', fingerprints.unified]);
    assert.equal(labels['org.linuxcontainers.fingerprint'], fingerprints.unified);
    assert.equal(sha256(await fetched(content!)), fingerprints.unified);
  });

  test('cellar pull takes both, tree and metadata, and knows them again', async () => {
    const store = file('pulled');
    for (const [name, attachment] of [
      ['split', 'incus-metadata.tar.xz'],
      ['unified', 'metadata.yaml'],
    ] as const) {
      const pull = ['pull', `simplestreams:${server.url}#a/${name}`, name];
      const pulled = (await cellarOk(pull, { store }))['images'] as { verified: string; change: string }[];
      assert.deepEqual([pulled[0]?.verified, pulled[0]?.change], ['checksum', 'new']);
      const { attachments } = (await cellarOk(['show', name], { store })) as { attachments?: object };
      assert.deepEqual(Object.keys(attachments ?? {}), [attachment]);
      const again = (await cellarOk(pull, { store }))['images'] as { change: string }[];
      assert.equal(again[0]?.change, 'unchanged');
      await cellarOk(['checkout', name, file(`${name}-out`), '--method', 'copy'], { store });
      const ignoreXattr = (xattr: string): boolean => xattr.startsWith('system.');
      const ignore = name === 'split' ? (['mtime'] as const) : [];
      assert.deepEqual(await compareTrees(tree.root, file(`${name}-out`), { ignoreXattr, ignore }), []);
    }
  });

  async function packImages(): Promise<void> {
    writeFileSync(file('metadata.yaml'), metadata);
    await sh(
      `mksquashfs ${quote(tree.root)} root.squashfs -quiet -no-progress
       tar -cJf meta.tar.xz metadata.yaml
       tar --xattrs --xattrs-include='*' --transform 's,^\\.,rootfs,S' -czf unified.tar.gz metadata.yaml -C ${quote(tree.root)} .
       mkdir lxd out`,
      { cwd: scratch.path },
    );
  }

  /** Both images in and out again, by a daemon that lives no longer than this. */
  async function throughLxd(): Promise<Readonly<Record<'split' | 'unified', string>>> {
    const env = { LXD_DIR: file('lxd'), HOME: scratch.path };
    const daemon = spawn('lxd', ['--group', 'root'], { env: { ...process.env, ...env }, stdio: 'ignore' });
    const ended = new Promise((resolve) => daemon.on('close', resolve));
    try {
      const said = await sh(
        `lxd waitready --timeout=30
         lxc image import meta.tar.xz root.squashfs --alias split
         lxc image import unified.tar.gz --alias unified
         lxc image export split out/
         lxc image export unified out/`,
        { cwd: scratch.path, env },
      );
      const [split, unified] = [...said.matchAll(/fingerprint: ([0-9a-f]{64})/g)].map((match) => match[1]!);
      return { split: split!, unified: unified! };
    } finally {
      await sh('lxd shutdown --timeout 10', { cwd: scratch.path, env }).catch(() => daemon.kill('SIGKILL'));
      await ended;
    }
  }

  /** What a server would publish of the files that LXD wrote. */
  function stream({ split, unified }: { split: string; unified: string }): Record<string, Buffer | string> {
    const files = Object.fromEntries(
      readdirSync(file('out')).map((name) => [name, readFileSync(file(`out/${name}`))]),
    );
    const item = (name: string, ftype: string, more: object = {}): object => {
      const bytes = files[name]!;
      return { ftype, path: `images/${name}`, sha256: sha256(bytes), size: bytes.length, ...more };
    };
    const product = (alias: string, items: object): object => ({
      aliases: alias,
      arch: 'amd64',
      versions: { '20260101_00:00': { items } },
    });
    const products = {
      split: product('a/split', {
        'lxd.tar.xz': item(`meta-${split}.tar.xz`, 'lxd.tar.xz', { combined_squashfs_sha256: split }),
        squashfs: item(`${split}.squashfs`, 'squashfs'),
      }),
      unified: product('a/unified', {
        'lxd_combined.tar.gz': item(`${unified}.tar.gz`, 'lxd_combined.tar.gz'),
      }),
    };
    return {
      '/streams/v1/index.json': JSON.stringify(streamsIndex()),
      '/streams/v1/images.json': JSON.stringify({ format: 'products:1.0', products }),
      ...Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`/images/${name}`, bytes])),
    };
  }

  async function look(name: string): Promise<Offer> {
    await using client = createHttpClient({ retries: 0 }, { events: ignoreEvents, environment: {} });
    await using source = simplestreamsDriver.open(`simplestreams:${server.url}#a/${name}`, {
      mirrors: [],
      http: {},
    });
    const { signal } = new AbortController();
    const [offer] = await source.look({ platforms: ['linux/amd64'], known: [] }, { client, signal });
    return offer!;
  }

  /** The part as the server has it, held to its size and digest. */
  async function fetched({ from, size, sha256: wanted }: Part): Promise<Buffer> {
    assert.ok(from.type === 'http');
    const bytes = Buffer.from(await (await fetch(from.urls[0]!)).arrayBuffer());
    assert.deepEqual([bytes.length, sha256(bytes)], [size, wanted]);
    return bytes;
  }
});
