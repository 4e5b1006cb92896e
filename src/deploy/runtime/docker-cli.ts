/** What `docker` and `podman` have in common: the words of their commands, and how they list images. */
import { runProgram, type Program } from '../program.ts';
import type { Runtime } from './runtime.ts';

export interface DockerCli extends Pick<Program, 'program' | 'package' | 'why'> {
  /** For messages. */
  readonly subject: string;
  /** Of its `pull`, for a registry that speaks plain HTTP. */
  readonly pullOptions?: readonly string[];
}

export function dockerCli({ pullOptions = [], ...program }: DockerCli): Runtime {
  const run = async (args: readonly string[], signal: AbortSignal): Promise<string> =>
    await runProgram(args, { ...program, signal });
  return {
    async images(signal) {
      const format = '{{.Repository}}:{{.Tag}} {{.ID}}';
      return parseImages(await run(['image', 'ls', '--no-trunc', '--format', format], signal));
    },
    async pull(name, { platform, signal }) {
      await run(['pull', '--quiet', ...pullOptions, '--platform', platform, name], signal);
    },
    tag: async (from, to, signal) => void (await run(['tag', from, to], signal)),
    untag: async (name, signal) => void (await run(['rmi', name], signal)),
  };
}

/** Lines of a name and a digest. */
function parseImages(text: string): ReadonlyMap<string, string> {
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/));
  return new Map(
    lines
      .filter(([name, id]) => name !== undefined && id !== undefined && !name.includes('<none>'))
      .map(([name, id]) => [name!, id!.replace(/^sha256:/, '')]),
  );
}
