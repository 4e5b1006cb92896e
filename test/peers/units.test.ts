/** The units for systemd, judged by systemd itself. */
import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { cellarProgram } from '../support/cellar.ts';
import { scratchDirectory } from '../support/filesystem.ts';
import { needs, run } from '../support/run.ts';

const units = fileURLToPath(new URL('../../packaging/systemd/', import.meta.url));
const own = ['cellar-mount.service', 'cellar-sync.service', 'cellar-sync.timer'];

test(
  'systemd finds nothing wrong with the units',
  { skip: needs({ programs: ['systemd-analyze'] }) },
  async () => {
    using scratch = scratchDirectory();
    cpSync(units, scratch.path, { recursive: true });
    for (const name of own) {
      const path = join(scratch.path, name);
      // It wants to see the program where it will be, and here it need not be installed.
      writeFileSync(
        path,
        readFileSync(path, 'utf8').replace('ExecStart=cellar ', `ExecStart=${cellarProgram} `),
      );
    }
    const { code, stderr } = await run(
      ['systemd-analyze', 'verify', '--man=no', ...own.map((name) => join(scratch.path, name))],
      { env: { SYSTEMD_UNIT_PATH: `${scratch.path}:` } },
    );
    const about = stderr.split('\n').filter((line) => line.includes('cellar'));
    assert.deepEqual([code, about], [0, []]);
  },
);

test(
  'mounts are there before the machines that need them',
  { skip: needs({ programs: ['systemd-analyze'] }) },
  async () => {
    const before = /^Before=(.*)$/m.exec(readFileSync(join(units, 'cellar-mount.service'), 'utf8'))?.[1];
    assert.deepEqual(before?.split(' '), ['machines.target', 'lxc.service']);
    // A name with @ and no instance is none, so each container has to wait by itself.
    const after = readFileSync(join(units, 'systemd-nspawn@.service.d/cellar.conf'), 'utf8');
    assert.match(after, /^After=cellar-mount\.service$/m);
  },
);
