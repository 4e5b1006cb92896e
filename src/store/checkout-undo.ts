/**
 * Taking back what was done for a checkout. Until it has its row every step is noted in the lock file of a staging
 * directory (staging.ts), so that whoever finds that file without its owner can undo a checkout that never came to be.
 */
import { lstatSync, rmdirSync } from 'node:fs';
import { fromText, toBytes, type ByteString } from '../core/bytes.ts';
import { isErrno, type ErrnoName } from '../sys/errno.ts';
import { unmount } from '../sys/mount-api.ts';
import { mountsAt } from '../sys/mountinfo.ts';
import { removeVolume, type Volume } from '../sys/volume.ts';
import { mountsOf } from './checkout-mounts.ts';
import { identityOf, type CheckoutRow } from './checkouts.ts';
import { removeTree } from './remove-tree.ts';
import type { Rows } from './rows.ts';

/** One thing a checkout has done, and so what undoes it. */
export type UndoStep =
  | { readonly undo: 'unmount' | 'rmdir'; readonly path: ByteString }
  /** A path with a random name that only this checkout can have made. */
  | { readonly undo: 'remove'; readonly path: ByteString }
  /** One with a random name that only this checkout can have made; a base's only while the directory of its making is there. */
  | { readonly undo: 'volume'; readonly volume: Volume; readonly while?: ByteString }
  /** A path with the user's name for it: removed only while it is the very directory that was put there. */
  | { readonly undo: 'remove-if'; readonly path: ByteString; readonly identity: string }
  /** A checkout that its maker alone used, on record or not: mounts, changes and row go. `uppers` is where changes lie. */
  | { readonly undo: 'abandon'; readonly path: ByteString; readonly uppers: string };

/** Newest first. What cannot be undone does not keep the rest from being undone; the first error is thrown at the end. */
export function undoSteps(id: string, steps: readonly UndoStep[]): void {
  const errors: unknown[] = [];
  for (const step of steps.toReversed()) {
    try {
      if (step.undo !== 'abandon') undoStep(id, step);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

/** For the staging sweep: a line that a dead process left. */
export function undoLine(rows: Pick<Rows, 'get' | 'list' | 'write'>, line: string): void {
  const { id, step } = JSON.parse(line) as { id: string; step: UndoStep };
  if (step.undo === 'abandon') abandonCheckout(rows, step);
  else if (rows.get('checkout', id) === undefined) undoSteps(id, [step]);
}

export function abandonCheckout(
  rows: Pick<Rows, 'list' | 'write'>,
  { path, uppers }: { readonly path: ByteString; readonly uppers: string },
): void {
  for (const { mountPoint } of mountsAt(path, { below: true }).toReversed())
    unmount(mountPoint, { detach: true });
  for (const { key, value } of rows.list<CheckoutRow>('checkout')) {
    if (value.path !== path) continue;
    removeTree(`${fromText(uppers)}/${key}`);
    if (value.volume !== undefined) removeVolume(value.volume);
    rows.write([{ kind: 'checkout', key, value: undefined }]);
  }
  removeTree(path);
}

function undoStep(id: string, step: Exclude<UndoStep, { undo: 'abandon' }>): void {
  switch (step.undo) {
    case 'unmount':
      for (const mount of mountsOf({ id, path: step.path }).filter(
        ({ mountPoint }) => mountPoint === step.path,
      ))
        unmount(mount.mountPoint, { detach: true });
      return;
    case 'rmdir':
      return ignoring(['ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EBUSY'], () => rmdirSync(toBytes(step.path)));
    case 'remove':
      return removeTree(step.path);
    case 'volume':
      if (step.while === undefined || lstatSync(toBytes(step.while), { throwIfNoEntry: false }) !== undefined)
        removeVolume(step.volume);
      return;
    case 'remove-if':
      return ignoring(['ENOENT'], () => {
        if (identityOf(step.path) === step.identity) removeTree(step.path);
      });
  }
}

function ignoring(codes: readonly ErrnoName[], work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!isErrno(error, ...codes)) throw error;
  }
}
