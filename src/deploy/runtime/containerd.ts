/**
 * `containerd:NAMESPACE/NAME[:TAG]`: an image in containerd, through its own `ctr`. Names are as its clients write them,
 * complete: Kubernetes finds `containerd:k8s.io/registry.k8s.io/pause:3.9`.
 */
import { CellarError } from '../../core/errors.ts';
import type { TargetDriver } from '../port.ts';
import { runProgram } from '../program.ts';
import { imageIn, imageName, type Runtime } from './runtime.ts';

export const containerdTarget: TargetDriver = {
  open(rest, options) {
    const [namespace = '', ...path] = rest.split('/');
    if (!/^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/.test(namespace) || path.length === 0)
      throw new CellarError('E_TARGET_INVALID', {
        details: { target: `containerd:${rest}`, problem: 'it is written containerd:NAMESPACE/NAME:TAG' },
      });
    const name = imageName('containerd', path.join('/'));
    const target = `containerd:${namespace}/${name}`;
    return imageIn({ target, name, runtime: containerd(namespace, target) }, options);
  },
};

function containerd(namespace: string, subject: string): Runtime {
  const images = async (args: readonly string[], signal: AbortSignal): Promise<string> =>
    await runProgram(['--namespace', namespace, 'images', ...args], {
      ...{ program: 'ctr', package: 'containerd', why: 'it speaks to containerd' },
      ...{ subject, signal },
    });
  return {
    async images(signal) {
      const [, ...lines] = (await images(['ls'], signal)).split('\n');
      const rows = lines.map((line) => line.trim().split(/\s+/)).filter((row) => row.length > 2);
      return new Map(rows.map(([name, , digest]) => [name!, digest!.replace(/^sha256:/, '')]));
    },
    async pull(name, { platform, signal }) {
      await images(['pull', '--plain-http', '--platform', platform, name], signal);
    },
    tag: async (from, to, signal) => void (await images(['tag', '--force', from, to], signal)),
    untag: async (name, signal) => void (await images(['rm', name], signal)),
  };
}
