/** `cellar provenance` on the command line. */
import type { Origin } from '../../ops/provenance.ts';
import { short } from '../render/facts.ts';
import { formatTime } from '../render/units.ts';
import { defineVerb } from '../spec.ts';
import { platform, reference } from './common.ts';

export const verb = defineVerb({
  description: [
    'The image, what it was committed, built or composed from, and so on down to what was fetched or read: with the source, how that was verified, and who signed it.',
  ],
  args: [reference()],
  options: { platform },
  examples: [
    { command: 'cellar provenance system:1', does: 'the image and its parts, with their sources' },
    { command: 'cellar provenance system:1 --json', does: 'the same for a program' },
  ],
  async run({ args: [name], options, context }) {
    const { provenance } = await import('../../ops/provenance.ts');
    const result = await provenance(context, { reference: name, ...options });
    return { result: { ...result }, lines: () => linesOf(result, '', 'image') };
  },
});

function linesOf(origin: Origin, indent: string, role: string): string[] {
  const { reference = '', artifacts, image, known, via, source, created } = origin;
  const name = [role, reference, short(image), artifacts === undefined ? '' : `(${artifacts.join(', ')})`];
  const head = indent + name.filter((word) => word !== '').join(' ');
  if (!known) return [`${head}  its record is no longer in the store`];
  const facts = [
    `by ${via} of ${source === '-' ? 'standard input' : source}`,
    ...(created === undefined ? [] : [formatTime(created)]),
    ...verifiedBy(origin),
  ];
  const below = `${indent}  `;
  return [
    head,
    `${below}${facts.join(', ')}`,
    ...(origin.parent === undefined ? [] : linesOf(origin.parent, below, 'parent')),
    ...(origin.parts ?? []).flatMap((part) => linesOf(part, below, 'part')),
  ];
}

/** Nothing where it was made here: then there was nothing to verify, as `ls` and `show` have it. */
function verifiedBy({ via, verified, signer, sourceDigest }: Origin): string[] {
  if (via !== 'pull' && via !== 'import') return [];
  const how = verified === 'no' ? 'not verified' : `verified by ${verified}`;
  const who = signer === undefined ? '' : ` of ${signer}`;
  return [how + who + (sourceDigest === undefined ? '' : `, as read sha256:${sourceDigest}`)];
}
