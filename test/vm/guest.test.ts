/**
 * What needs a kernel of its own: LVM by real device-mapper pools, the power that goes in the middle of a switch, and
 * checkouts after a reboot. One guest with Debian's kernel does the short run, and one more after its power was cut.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { portion, soak } from '../support/run.ts';
import { makeScratch, remove } from '../support/scratch.ts';
import { copyDisk, faultsOf, makeDisk, mountDisk } from './disks.ts';
import { makeGuestImage, needsGuest } from './image.ts';
import { boot, type Disk, type Machine } from './machine.ts';
import { checkSite, fillSite, handler, inGuest } from './site.ts';
import { readWriteLog, replayWrites } from './write-log.ts';
import { generator } from '../support/random.ts';

const cuts = portion(400, 6);
const kills = portion(12, 1);
/** Where volumes are made; the first in the short run. */
const places = soak ? ['vg0/thin', 'vg0/thin,fs=xfs', 'vg0'] : ['vg0/thin'];
const random = generator(Number(process.env['CELLAR_SEED'] ?? 11));

test('in a virtual machine', { skip: needsGuest() }, async (context) => {
  using scratch = makeScratch('vm');
  const path = (name: string): string => join(scratch.path, name);
  const image = await makeGuestImage(scratch.path);
  context.diagnostic(`Linux ${image.release}`);
  const cache = { file: await makeDisk(path('cache'), 256 << 20) };
  const volumes = { file: await makeDisk(path('volumes'), 3 * 2 ** 30, 'none') };
  const site = await fillSite(await makeDisk(path('site'), 256 << 20), path('mnt'));
  const before = await copyDisk(site.file, path('before'));
  const log = path('log');
  writeFileSync(log, '');

  let window = [0, 0];
  {
    await using guest = await start({ cache, volumes, site: { file: site.file, log } });
    // The short run does this in the second guest only: every command takes seconds here.
    if (soak)
      await context.test('checkouts return after a reboot', async () => {
        await mountAll(guest);
      });
    await guest.ok(
      'disk=$(readlink -f /dev/volumes); pvcreate -q $disk && vgcreate -q vg0 $disk && lvcreate -q -L 800M -T vg0/thin',
    );
    for (const place of places)
      await context.test(`LVM: ${place}`, async () => {
        await useVolumes(guest, place);
      });
    await guest.ok('sync');
    const from = readWriteLog(log).length;
    await guest.ok(deploy('2'));
    window = [from, readWriteLog(log).length];
    await cutDuring(guest, '1');
  }

  await context.test(`${cuts} power cuts while a version was switched to`, async () => {
    const writes = readWriteLog(log);
    const [from = 0, to = 0] = window;
    const seen = new Set<string>();
    for (let turn = 0; turn < cuts; turn++) {
      // The ends are the surest: nothing of the switch, and all of it.
      const count = turn === 0 ? from : turn === 1 ? to : from + Math.floor(random() * (to - from));
      const copy = await copyDisk(before, path('copy'));
      replayWrites(log, copy, { writes, count, random });
      const when = `cut after write ${count} (${from}…${to})`;
      {
        await using _mounted = await mountDisk(copy, site.at);
        seen.add(await checkSite(site, when));
      }
      assert.equal(await faultsOf(copy), '', when);
      remove(copy);
    }
    assert.deepEqual([...seen].sort(), ['1', '2'], 'cuts fell before the switch and after it');
  });

  for (let turn = 0; turn < kills; turn++)
    await context.test(
      `a guest that lost its power, and its checkouts, ${turn + 1} of ${kills}`,
      async () => {
        {
          await using _mounted = await mountDisk(site.file, site.at);
          await checkSite(site, `kill ${turn}`);
        }
        assert.equal(await faultsOf(site.file), '');
        await using guest = await start({ cache, volumes, site: { file: site.file } });
        await mountAll(guest);
        if (turn === 0) await returnVolumes(guest, places);
        if (turn + 1 < kills) await cutDuring(guest, turn % 2 === 0 ? '2' : '1');
      },
    );

  async function start(disks: Readonly<Record<string, Disk>>): Promise<Machine> {
    const guest = await boot(image, disks, scratch.path);
    await guest.ok(`mkdir -p ${site.at} && mount /dev/site ${site.at}`);
    return guest;
  }

  function deploy(version: string): string {
    return inGuest(
      site,
      'deploy',
      `app:${version}`,
      site.target,
      '--method',
      'copy',
      '--on-change',
      handler(site),
    );
  }

  /** The power goes somewhere in a deployment of `version`. */
  async function cutDuring(guest: Machine, version: string): Promise<void> {
    const done = guest.run(deploy(version)).catch(() => undefined);
    await Promise.race([done, sleep(1000 + random() * 6000)]);
    await guest.cut();
    await done;
  }

  async function mountAll(guest: Machine): Promise<void> {
    await guest.ok(inGuest(site, 'mount', '--all'));
    for (const method of ['composefs', 'overlay']) {
      const directory = `${site.at}/${method}-checkout`;
      assert.equal(await guest.ok(`cat ${directory}/own; head -c 3 ${directory}/deep/c`), `${method}111`);
    }
  }

  /** Two instances of one base are written to, held to their size, switched and switched back. */
  async function useVolumes(guest: Machine, place: string): Promise<void> {
    const { web, second, target } = volumesOf(place);
    // XFS is never smaller.
    const size = place.includes('xfs') ? '304M' : '48M';
    const how = ['--writable', '--method', `lvm:${place}`, '--quota', size];
    await guest.ok(inGuest(site, 'deploy', 'app:1', target, ...how));
    await guest.ok(inGuest(site, 'checkout', 'app:1', second, ...how));
    const written = await guest.ok(
      `echo first >${web}/own; echo second >${second}/own; echo changed >${second}/a
       cat ${web}/own ${second}/own; head -c 3 ${web}/a`,
    );
    assert.equal(written, 'first\nsecond\n111');
    const full = await guest.run(
      `dd if=/dev/zero of=${second}/fill bs=1M count=400; rm ${second}/fill; sync`,
    );
    assert.match(full.output, /No space left on device/);
    await guest.ok(inGuest(site, 'deploy', 'app:2', target, ...how));
    assert.equal(await guest.ok(`head -c 3 ${web}/a; ls -1 ${web}`), '222a\nb\ndeep\n');
    await guest.ok(inGuest(site, 'rollback', target));
    assert.equal(await guest.ok(`cat ${web}/own; sync`), 'first\n');
  }

  /** They are there again, and all of them go when they are given back. */
  async function returnVolumes(guest: Machine, all: readonly string[]): Promise<void> {
    for (const { web, second, target } of all.map(volumesOf)) {
      assert.equal(await guest.ok(`cat ${web}/own ${second}/own ${second}/a`), 'first\nsecond\nchanged\n');
      await guest.ok(inGuest(site, 'release', second, '--force'));
      await guest.ok(inGuest(site, 'undeploy', target));
    }
    await guest.ok(inGuest(site, 'gc'));
    assert.equal((await guest.ok('lvs --noheadings -o lv_name')).trim(), 'thin');
  }

  function volumesOf(place: string): { web: string; second: string; target: string } {
    const name = place.replaceAll(/[^a-z0-9]/g, '-');
    const web = `${site.at}/web-${name}`;
    return { web, second: `${site.at}/second-${name}`, target: `dir:${web}` };
  }
});
