/** `podman:NAME[:TAG]`: an image in the storage of this user's podman. */
import { parseImages } from './docker.ts';
import type { TargetKind } from './port.ts';
import { runProgram } from './program.ts';
import { imageIn, imageName, type Runtime } from './runtime.ts';

export const podmanTarget: TargetKind = {
  kind: 'podman',
  summary: 'an image in podman, missing layers only',
  open(rest, options) {
    const name = qualified(imageName('podman', rest));
    const target = `podman:${name}`;
    return imageIn({ target, name, runtime: podman(target) }, options);
  },
};

/** What it calls an image that it was given without a registry. */
function qualified(name: string): string {
  const [first = '', ...rest] = name.split('/');
  const hasHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  return hasHost ? name : `localhost/${name}`;
}

function podman(subject: string): Runtime {
  const run = async (args: readonly string[], signal: AbortSignal): Promise<string> =>
    await runProgram(args, {
      ...{ program: 'podman', package: 'podman', why: 'it keeps its images itself' },
      ...{ subject, signal },
    });
  return {
    async images(signal) {
      const format = '{{.Repository}}:{{.Tag}} {{.ID}}';
      return parseImages(await run(['image', 'ls', '--no-trunc', '--format', format], signal));
    },
    async pull(name, { platform, signal }) {
      await run(['pull', '--quiet', '--tls-verify=false', '--platform', platform, name], signal);
    },
    tag: async (from, to, signal) => void (await run(['tag', from, to], signal)),
    untag: async (name, signal) => void (await run(['rmi', name], signal)),
  };
}
