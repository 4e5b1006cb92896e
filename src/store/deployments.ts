/**
 * Deployments on record. A row is written before the step it tells of, so that whoever finds it after a crash knows
 * what may have been done: files of a version that was being staged, or a switch that may or may not have happened.
 */
import type { Digest } from '../core/digest.ts';
import type { Platform } from '../core/platform.ts';
import type { ImageKind, Provenance } from '../core/record.ts';
import type { RowChange } from './rows.ts';
import type { Store } from './store.ts';

export interface DeploymentRow {
  /** Canonical `kind:rest`. */
  readonly target: string;
  /** 1 for the first at its target; what `rollback` takes and `deployments` shows. */
  readonly version: number;
  /** `<version>-<8 digits of the content>`: names what the target keeps for it. */
  readonly id: string;
  readonly state: DeploymentState;
  readonly reference: string;
  readonly image: Digest;
  readonly kind: ImageKind;
  readonly content: Digest;
  /** The tree put in service: that of the image, or one derived from it. Absent for a file. */
  readonly tree?: Digest;
  readonly platform: Platform;
  readonly provenance: Provenance;
  /** Given with the deployment; values of secrets are replaced. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Over the true parameters and options: a change of any of them is a new version. */
  readonly inputs: Digest;
  /** Milliseconds since the epoch: when it was staged, and when it was last put in service. */
  readonly created: number;
  readonly activated?: number;
  /** Version that was in service before. */
  readonly previous?: number;
  readonly handlers: Handlers;
  readonly writable: boolean;
  /** Where its record lies in its tree, with a leading slash; absent where the record is beside it only. */
  readonly recordPath?: string;
  /** Artifacts of other images that were put into its tree. */
  readonly nested?: readonly NestedFile[];
  /** How the tree was made visible, where it was. */
  readonly method?: string;
  /** Bytes that it was held to. */
  readonly quota?: number;
  /** Why it is `failed`, or is about to be put back. */
  readonly problem?: string;
}

/** A file that was made of another image; `size` in bytes, `mtime` in seconds, `tree` what it was made of. */
export interface NestedFile {
  readonly reference: string;
  /** With a leading slash. */
  readonly path: string;
  readonly tree: Digest;
  readonly size: number;
  readonly digest?: Digest;
  readonly mtime: number;
}

/**
 * `staging` and `switching` are under way; `active` is in service; `retired` was, and can be again; `failed` was put
 * back, and nothing of it is left but this row.
 */
export type DeploymentState = 'staging' | 'switching' | 'active' | 'retired' | 'failed';

/** Shell commands, and whether what is active now was acknowledged by them. */
export interface Handlers {
  readonly onChange?: string;
  readonly check?: string;
  /** Around the switch, where something runs on the target. */
  readonly stop?: string;
  readonly start?: string;
  /** `stop` was run, and `start` has not succeeded since. */
  readonly stopped?: true;
  readonly state: 'none' | 'pending' | 'done';
  /**
   * Of a version that was in service before, while they are pending: it is kept for another rollback, or it stays in
   * service, as one that was put back does.
   */
  readonly ifRefused?: 'keep' | 'stay';
}

/** Oldest first. */
export function deploymentsOf(store: Store, target: string): DeploymentRow[] {
  return store.rows.list<DeploymentRow>('deployment', `${target}\n`).map(({ value }) => value);
}

export function listDeployments(store: Store): DeploymentRow[] {
  return store.rows.list<DeploymentRow>('deployment').map(({ value }) => value);
}

export function planDeployment(row: DeploymentRow): RowChange {
  return { kind: 'deployment', key: deploymentKey(row), value: row };
}

export function planForgotten(row: DeploymentRow): RowChange {
  return { kind: 'deployment', key: deploymentKey(row), value: undefined };
}

/** Zero-padded so that key order is version order. */
function deploymentKey({ target, version }: DeploymentRow): string {
  return `${target}\n${String(version).padStart(9, '0')}`;
}
