/** The configuration file. No verb of this version takes a setting from it, so one that is named is only checked. */
import { readFileSync } from 'node:fs';
import type { EventSink } from '../core/events.ts';
import { usage } from './usage.ts';

/** @throws E_USAGE when it cannot be read */
export function checkConfig(file: string, events: EventSink): void {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw usage(`--config ${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
  const hasSettings = text.split('\n').some((line) => /^\s*[^#\s]/.test(line));
  if (!hasSettings) return;
  events({
    type: 'warning',
    code: 'W_CONFIG_UNUSED',
    text: `no setting in ${file} is used by this version`,
  });
}
