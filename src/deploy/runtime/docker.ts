/** `docker:NAME[:TAG]`: an image in the Docker daemon that `docker` speaks to, which runs on this machine. */
import { dockerCli } from './docker-cli.ts';
import type { TargetDriver } from '../port.ts';
import { imageIn, imageName } from './runtime.ts';

export const dockerTarget: TargetDriver = {
  open(rest, options) {
    // It shows names of its own registry without the registry.
    const name = imageName('docker', rest).replace(/^(?:index\.)?docker\.io\/(?:library\/)?/, '');
    const target = `docker:${name}`;
    const runtime = dockerCli({
      ...{ program: 'docker', package: 'docker.io', why: 'it speaks to the Docker daemon', subject: target },
    });
    return imageIn({ target, name, runtime }, options);
  },
};
