/** GnuPG with a home of its own, for keys and signatures that this project did not make. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadKeyring, type Keyring } from '../../src/source/verify/keyring.ts';
import { quote, sh } from './run.ts';

/** A GnuPG home with a short path, since its agent listens on a socket there. */
export interface Gpg extends AsyncDisposable {
  readonly home: string;
  /** Runs gpg; `at` is the time it believes in. */
  run(args: string, at?: string): Promise<string>;
  /** A new key; resolves to its fingerprint. */
  key(user: string, algorithm: string, options?: { expire?: string; at?: string }): Promise<string>;
  /** Public keys, binary. */
  ring(...fingerprints: string[]): Promise<Keyring>;
}

export function gnupg(): Gpg {
  const home = mkdtempSync(join(tmpdir(), 'gpg-'));
  // The agent else measures for a while how slow it can make a passphrase.
  writeFileSync(join(home, 'gpg-agent.conf'), 's2k-count 65536\n');
  const run = async (args: string, at?: string): Promise<string> =>
    await sh(
      `gpg --homedir ${quote(home)} --batch --quiet --no-tty --yes --pinentry-mode loopback --passphrase '' ${
        at === undefined ? '' : `--faked-system-time ${at}`
      } ${args}`,
    );
  return {
    home,
    run,
    async key(user, algorithm, { expire = '0', at } = {}) {
      await run(`--quick-gen-key ${quote(user)} ${algorithm} sign ${expire}`, at);
      const listed = await run(`--with-colons --list-keys ${quote(`=${user}`)}`);
      return /^fpr:+([0-9A-F]{40}):/m.exec(listed)![1]!;
    },
    async ring(...fingerprints) {
      const file = join(home, `${fingerprints.join('-').slice(0, 90)}.ring`);
      await run(`--export --output ${quote(file)} ${fingerprints.join(' ')}`);
      return await loadKeyring({ store: '/nonexistent', files: [file] });
    },
    async [Symbol.asyncDispose]() {
      await sh(`gpgconf --homedir ${quote(home)} --kill all`);
      rmSync(home, { recursive: true, force: true });
    },
  };
}
