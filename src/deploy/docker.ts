/** `docker:NAME[:TAG]`: an image in the Docker daemon that `docker` speaks to, which runs on this machine. */
import type { TargetKind } from './port.ts';
import { runProgram } from './program.ts';
import { imageIn, imageName, type Runtime } from './runtime.ts';

export const dockerTarget: TargetKind = {
  kind: 'docker',
  summary: 'an image in Docker, missing layers only',
  open(rest, options) {
    // It shows names of its own registry without the registry.
    const name = imageName('docker', rest).replace(/^(?:index\.)?docker\.io\/(?:library\/)?/, '');
    const target = `docker:${name}`;
    return imageIn({ target, name, runtime: docker(target) }, options);
  },
};

function docker(subject: string): Runtime {
  const run = async (args: readonly string[], signal: AbortSignal): Promise<string> =>
    await runProgram(args, {
      ...{ program: 'docker', package: 'docker.io', why: 'it speaks to the Docker daemon' },
      ...{ subject, signal },
    });
  return {
    async images(signal) {
      const format = '{{.Repository}}:{{.Tag}} {{.ID}}';
      return parseImages(await run(['image', 'ls', '--no-trunc', '--format', format], signal));
    },
    async pull(name, { platform, signal }) {
      await run(['pull', '--quiet', '--platform', platform, name], signal);
    },
    tag: async (from, to, signal) => void (await run(['tag', from, to], signal)),
    untag: async (name, signal) => void (await run(['rmi', name], signal)),
  };
}

/** Lines of a name and a digest. */
export function parseImages(text: string): ReadonlyMap<string, string> {
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/));
  return new Map(
    lines
      .filter(([name, id]) => name !== undefined && id !== undefined && !name.includes('<none>'))
      .map(([name, id]) => [name!, id!.replace(/^sha256:/, '')]),
  );
}
