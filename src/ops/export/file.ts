/** The export of an image that is one file: its bytes as they came, hashed before the first and while they are written. */
import type { Store } from '../../store/store.ts';
import type { Image } from '../../store/resolve.ts';
import { noteUse } from '../../store/used.ts';
import type { Context } from '../context.ts';
import type { ChosenExport, Exported } from '../export.ts';
import { objectChunks } from '../object-chunks.ts';
import { checkDestination, openOutput } from './output.ts';
import { writeSums } from './sums.ts';

/** @throws E_OBJECT_DAMAGED, E_OBJECT_MISSING, E_NO_SPACE */
export async function exportFile(
  { signal, events }: Context,
  store: Store,
  { record, digest }: Image,
  options: ChosenExport,
): Promise<Exported> {
  const { reference, destination, dryRun, key } = options;
  const { content } = record;
  const result = { reference, content, destination, format: 'file' as const, skipped: 0 };
  checkDestination(destination);
  if (dryRun === true) return { ...result, bytes: 0 };
  noteUse(store, digest);
  const hash = options.sums === true;
  await using output = openOutput(destination, { hash, durable: hash, expected: record.bytes, signal });
  const label = `exporting ${reference}`;
  events({ type: 'step', step: 'export', label, unit: 'bytes', total: record.bytes });
  let done = 0;
  for await (const chunk of objectChunks(store, content, signal)) {
    await output.write(chunk);
    events({ type: 'progress', step: 'export', done: (done += chunk.length) });
  }
  const { bytes, sums } = output.finish();
  events({ type: 'step-end', step: 'export' });
  if (sums !== undefined) await writeSums(destination, { ...sums, key }, events);
  return { ...result, bytes, ...sums };
}
