/** `cellar diff` on the command line. */
import { formatBytes } from '../render/units.ts';
import { defineVerb, required, text, toggle } from '../spec.ts';

export const verb = defineVerb({
  description: [
    'Compares manifests, so it takes the same time whatever the files hold. A path is changed in its type, content, mode, owner, xattrs or mtime; --no-mtime leaves out what changed in nothing but its time.',
  ],
  args: [
    required('A', 'The older image, or a target', 'reference-or-target'),
    required('B', 'The newer image, or a target', 'reference-or-target'),
  ],
  options: {
    noMtime: toggle('Leave out what changed in nothing but its mtime'),
    platform: text('OS/ARCH', 'Choose among the platforms of the references'),
  },
  examples: [
    { command: 'cellar diff debian:12@{1} debian:12', does: 'what the last update changed' },
    { command: 'cellar diff app:1 app:2 --json', does: 'the same for a program' },
    { command: 'cellar diff web:1 machine:web1', does: 'what a container has changed' },
  ],
  async run({ args: [from, to], options: { noMtime, platform }, context }) {
    const { diff } = await import('../../ops/diff.ts');
    const result = await diff(context, { from, to, ignoreMtime: noMtime, platform });
    const { added, removed, changed } = result;
    return {
      result: { ...result },
      lines: (style) => [
        ...removed.map(({ path, size }) => style.red(`- ${path}  ${formatBytes(size)}`)),
        ...added.map(({ path, size }) => style.green(`+ ${path}  ${formatBytes(size)}`)),
        ...changed.map(({ path, oldSize = 0, size, changed: aspects }) => {
          const sizes = oldSize === size ? '' : `  ${formatBytes(oldSize)} → ${formatBytes(size)}`;
          return style.yellow(`~ ${path}  ${aspects.join(', ')}${sizes}`);
        }),
        `${added.length} added, ${removed.length} removed, ${changed.length} changed`,
      ],
    };
  },
});
