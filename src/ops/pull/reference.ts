/** A name for what is pulled without one: the last words of its source. */
import { CellarError } from '../../core/errors.ts';
import { redact } from '../../core/redact.ts';

const suffix = /\.(?:tar(?:\.[a-z0-9]+)?|tgz|txz|tbz2?|squashfs|sqfs|raw|img)$/i;

/** @throws E_USAGE when the source ends in nothing that could be a name */
export function defaultReference(source: string): string {
  const docker = /^(?:docker|registry)(?:\+https?)?:\/\/(.+?)(?:@sha256:[0-9a-f]{64})?$/i.exec(source);
  if (docker !== null) return docker[1]!;
  const path = source
    .replace(/^[a-z+]+:/i, '')
    .replace(/[?#].*$/, '')
    .replace(/\/+$/, '');
  const words = source.startsWith('lxc') ? path.split('/').slice(3).join('/') : path.split('/').at(-1)!;
  const name = words
    .replace(suffix, '')
    .toLowerCase()
    .replace(/[^a-z0-9/._-]+/g, '-')
    .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, '');
  if (name !== '') return name;
  throw new CellarError('E_USAGE', {
    details: { problem: `no name can be made from ${redact(source)}` },
    hint: 'give one: cellar pull SOURCE REF',
  });
}
