/** `cellar cat` on the command line. */
import { write } from '../render/json.ts';
import { defineVerb, required } from '../spec.ts';
import { platform, reference } from './common.ts';

export const verb = defineVerb({
  description: [
    'Symlinks on the way are followed within the image. The content is hashed before the first byte is written: a damaged file gives an error and no output.',
  ],
  args: [reference(), required('PATH', 'A file in the image')],
  options: { platform },
  examples: [
    { command: 'cellar cat debian:12 /etc/os-release', does: 'a file, without checking anything out' },
  ],
  streams: () => true,
  async run({ args: [name, path], options, context }) {
    const { cat } = await import('../../ops/cat.ts');
    const result = await cat(context, {
      ...{ reference: name, path },
      ...options,
      write: (chunk) => write(process.stdout, Buffer.from(chunk), context.signal),
    });
    return { result: { ...result } };
  },
});
