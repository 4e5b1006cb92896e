/** `podman:NAME[:TAG]`: an image in the storage of this user's podman. */
import { dockerCli } from './docker-cli.ts';
import type { TargetDriver } from '../port.ts';
import { imageIn, imageName } from './runtime.ts';

export const podmanTarget: TargetDriver = {
  open(rest, options) {
    const name = qualified(imageName('podman', rest));
    const target = `podman:${name}`;
    const runtime = dockerCli({
      ...{ program: 'podman', package: 'podman', why: 'it keeps its images itself', subject: target },
      pullOptions: ['--tls-verify=false'],
    });
    return imageIn({ target, name, runtime }, options);
  },
};

/** What it calls an image that it was given without a registry. */
function qualified(name: string): string {
  const [first = '', ...rest] = name.split('/');
  const hasHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  return hasHost ? name : `localhost/${name}`;
}
