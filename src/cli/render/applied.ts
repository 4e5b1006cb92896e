/** Plans and what came of them, which look alike: the images that are needed, then the deployments. */
import type { CellarError } from '../../core/errors.ts';
import type { SyncedImage } from '../../ops/sync.ts';
import type { Outcome } from '../outcome.ts';
import { table } from './table.ts';

interface Shown {
  readonly name: string;
  readonly target: string;
  readonly reference: string;
  readonly error?: CellarError;
}

export interface Report<T extends Shown> {
  readonly images: readonly SyncedImage[];
  readonly deployments: readonly T[];
  /** For the column of what is done, or was. */
  readonly say: (deployment: T) => string;
  readonly total: readonly string[];
  /** More for the result. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

export function reported<T extends Shown>(report: Report<T>): Outcome {
  const { images, deployments, say, total, facts = {} } = report;
  const imageRows = images.map(({ reference, outcome, source }) => [reference, outcome, source]);
  const rows = deployments.map((one) => [one.name, one.target, one.reference, say(one)]);
  return {
    result: {
      ...facts,
      images: images.map(({ error, ...rest }) => ({ ...rest, error: error?.toJSON() })),
      deployments: deployments.map(({ error, ...rest }) => ({ ...rest, error: error?.toJSON() })),
    },
    lines: (style) => [
      ...(imageRows.length === 0 ? [] : [...table(imageRows, { head: ['IMAGE', 'OUTCOME', 'SOURCE'] }), '']),
      ...(rows.length === 0 ? [] : table(rows, { head: ['NAME', 'TARGET', 'REFERENCE', 'DEPLOYMENT'] })),
      style.bold(total.join(', ')),
    ],
    exitCode: exitCode(images, deployments),
  };
}

/** No deployment works: the code of the first failure. Some do, or an image could not be renewed: 3. */
function exitCode(images: readonly SyncedImage[], deployments: readonly Shown[]): number {
  const errors = deployments.flatMap(({ error }) => error ?? []);
  const isWhole = errors.length > 0 && errors.length === deployments.length;
  if (isWhole) return errors[0]?.exitCode ?? 1;
  const hasBadImage = images.some(({ outcome }) => outcome === 'failed' || outcome === 'stale');
  return errors.length > 0 || hasBadImage ? 3 : 0;
}
