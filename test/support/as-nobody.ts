/** Tests that say something only of an ordinary user: a file that root runs has itself run again as nobody. */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { needs, run } from './run.ts';

const nobody = '65534';

/** Why a test file cannot be run as nobody, or false. */
export const obstacleToNobody: string | false = needs({ root: true, nobody: true, programs: ['setpriv'] });

/** Runs the tests of the file `url` as nobody, who gets the directory `place`. At least one of them must pass. */
export async function runAsNobody(
  url: string,
  place: string,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  chmodSync(place, 0o777);
  const drop = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'];
  const self = [process.execPath, '--test', '--test-reporter=tap', fileURLToPath(url)];
  const { code, stdout } = await run(['env', '-u', 'NODE_TEST_CONTEXT', ...drop, ...self], {
    env: { TMPDIR: place, HOME: place, ...env },
  });
  assert.equal(code, 0, stdout.toString());
  assert.match(stdout.toString(), /# pass [1-9]/);
}
