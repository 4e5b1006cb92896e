/** From what a user asks for to the row that a deployment would have, and to the version that its target is given. */
import { jsonDigest } from '../../core/canonical-json.ts';
import { fromText } from '../../core/bytes.ts';
import type { Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import { redactParameters } from '../../core/redact.ts';
import { nextVersion } from '../../deploy/engine/deployment-rows.ts';
import type { Engine, NewDeployment } from '../../deploy/engine.ts';
import type { Version } from '../../deploy/port.ts';
import { deploymentRecord } from '../../deploy/engine/record.ts';
import type { Handlers } from '../../store/deployments.ts';
import type { Image } from '../../store/resolve.ts';
import type { DeployOptions } from '../deploy.ts';
import type { ResolvedNesting } from './nested.ts';
import { defaultRecordPath, parseRecordPath } from './tree-record.ts';

/** What a reference came to; `tree` is absent where the target takes the image as it is. */
export interface FoundImage {
  readonly image: Image;
  readonly tree: Digest | undefined;
}

/** The row that this deployment would have. @throws E_USAGE for a place of the record that is none */
export function wantedRow(
  { store, target }: Pick<Engine, 'store' | 'target'>,
  options: Omit<DeployOptions, 'nested'> & { readonly nested: readonly ResolvedNesting[] },
  { image, tree }: FoundImage,
): NewDeployment {
  const { digest, record, platform } = image;
  const version = nextVersion(store, target.name);
  const writable = options.writable ?? target.writable;
  const parameters = options.parameters ?? {};
  const { mode, owner, method, quota, base, level } = options;
  const content = tree ?? record.content;
  const place = options.record === undefined ? undefined : parseRecordPath(options.record);
  if (place !== undefined && tree === undefined)
    throw new CellarError('E_USAGE', {
      details: { problem: `--record is a path in a tree, and ${target.name} takes ${record.kind} as it is` },
    });
  const isInstance = writable && tree !== undefined && target.directory !== undefined;
  const recordPath = options.record === undefined && isInstance ? defaultRecordPath : place;
  return {
    version,
    id: `${version}-${content.slice(0, 8)}`,
    reference: options.reference,
    image: digest,
    kind: record.kind,
    content: record.content,
    ...(tree === undefined ? {} : { tree }),
    platform,
    provenance: record.provenance,
    parameters: redactParameters(parameters),
    inputs: jsonDigest({
      content,
      writable,
      parameters,
      mode,
      owner,
      method,
      quota,
      base: base === true ? true : undefined,
      level,
      nested:
        options.nested.length === 0 ? undefined : options.nested.map(({ path, tree: made }) => [path, made]),
      record: options.record === undefined ? undefined : (place ?? 'none'),
    }),
    handlers: { ...handlersOf(options), state: 'none' },
    writable,
    ...(quota === undefined ? {} : { quota }),
    ...(recordPath === undefined ? {} : { recordPath }),
  };
}

/** Commands that come with a deployment. */
export function handlersOf({
  onChange,
  check,
  stop,
  start,
}: DeployOptions): Omit<Handlers, 'state' | 'stopped'> {
  return {
    ...(onChange === undefined ? {} : { onChange }),
    ...(check === undefined ? {} : { check }),
    ...(stop === undefined ? {} : { stop }),
    ...(start === undefined ? {} : { start }),
  };
}

/** What the target is given: with the record of the deployment, which names the version before. */
export function versionOf(
  row: NewDeployment,
  { image, tree }: FoundImage,
  names: { target: string; previous: number | undefined },
): Version {
  return {
    id: row.id,
    reference: row.reference,
    record: image.record,
    ...(tree === undefined ? {} : { tree }),
    writable: row.writable,
    parameters: row.parameters,
    deploymentRecord: deploymentRecord({ ...row, ...names }),
    ...(row.recordPath === undefined ? {} : { recordInside: { path: fromText(row.recordPath) } }),
  };
}
