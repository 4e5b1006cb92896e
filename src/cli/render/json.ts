/** Events as JSON lines on standard error, and the one result line on standard output. Fields are only ever added. */
import type { Writable } from 'node:stream';
import type { CellarEvent } from '../../core/events.ts';
import { drained } from '../../sys/drained.ts';
import type { Renderer, RendererOptions } from './renderer.ts';

/** Progress comes at most this often for each step; beginnings, ends and messages always. */
const every = 250;

export function jsonRenderer({ screen, quiet, now }: RendererOptions): Renderer {
  const last = new Map<string, number>();
  return {
    event(event) {
      if (quiet && event.type !== 'warning' && event.type !== 'error') return;
      if (event.type === 'progress') {
        const at = now();
        if (at - (last.get(event.step) ?? -Infinity) < every) return;
        last.set(event.step, at);
      }
      screen.write(`${eventJson(event)}\n`);
    },
    clear() {},
  };
}

export function eventJson(event: CellarEvent): string {
  return JSON.stringify(event.type === 'error' ? { type: 'error', ...event.error.toJSON() } : event);
}

/**
 * The result as one line. Fields that are iterables but no arrays are written element by element, so that a listing
 * of a million files never is one string.
 */
export async function writeResult(
  out: Writable,
  result: Readonly<Record<string, unknown>>,
  signal?: AbortSignal,
): Promise<void> {
  let text = '{"type":"result"';
  for (const [name, value] of Object.entries(result)) {
    if (value === undefined) continue;
    text += `,${JSON.stringify(name)}:`;
    if (!isLazy(value)) {
      text += JSON.stringify(value);
      continue;
    }
    text += '[';
    let separator = '';
    for (const element of value) {
      text += separator + JSON.stringify(element);
      separator = ',';
      if (text.length < chunk) continue;
      await write(out, text, signal);
      text = '';
    }
    text += ']';
  }
  await write(out, `${text}}\n`, signal);
}

const chunk = 1 << 16;

/** Waits when the reader is slower. @throws E_CANCELLED */
export async function write(out: Writable, text: string | Uint8Array, signal?: AbortSignal): Promise<void> {
  if (!out.write(text)) await drained(out, signal);
}

function isLazy(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Symbol.iterator in value;
}
