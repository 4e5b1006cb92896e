/**
 * Damaged content brought in again from where it was pulled. Nothing is verified beforehand and nothing needs to be:
 * what is mended is named by its digest, so only the very bytes that were lost can take their place.
 */
import type { Reference } from '../../core/reference.ts';
import type { Store } from '../../store/store.ts';
import type { Transaction } from '../../store/transaction.ts';
import type { Entry } from '../../tree/entry.ts';
import type { Context } from '../context.ts';
import type { PullOptions } from '../pull.ts';
import type { Proof } from './evidence.ts';
import { lookUpstream } from './look.ts';
import type { Pulling } from './offer.ts';
import { transferOffer } from './transfer.ts';

/** @returns entries of a tree, for its manifest; content of other kinds is staged, and `undefined` returned */
export async function refetch(
  context: Context,
  given: { store: Store; reference: Reference; options: PullOptions; transaction: Transaction },
): Promise<readonly Entry[] | undefined> {
  const { store, reference, options, transaction } = given;
  const pulling: Pulling = {
    ...{ context, store, reference, source: options.source },
    options: { ...options, refresh: true, platforms: options.platforms ?? 'all' },
    tally: { newObjects: 0, newBytes: 0, transferred: 0 },
  };
  // What is mended takes the place of what was lost, so there is room for it.
  const unheld = { ...transaction, arrived: () => {} };
  await using looked = await lookUpstream(pulling, undefined);
  let entries: readonly Entry[] | undefined;
  for (const offer of looked.offers) {
    const { content } = await transferOffer({ pulling, looked, offer, proof: unproven, transaction: unheld });
    if ('entries' in content) entries = content.entries;
  }
  return entries;
}

const unproven: Proof = { level: 'no', digestOf: () => undefined, evidenceOf: () => undefined };
