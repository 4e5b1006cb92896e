/**
 * Ctrl-C: the first lets the operation stop cleanly, the second kills. So does a terminal that is closed (but not under
 * nohup(1)) or a service manager that stops us.
 */
import { CellarError } from '../core/errors.ts';

export interface Cancellation extends Disposable {
  readonly signal: AbortSignal;
  readonly cancel: () => void;
}

const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export function cancelOnSignals(tell: (text: string) => void): Cancellation {
  const controller = new AbortController();
  const abort = (): void => {
    const reason = new CellarError('E_CANCELLED');
    controller.abort(reason);
    // Whoever waits for a writer that is silent would never look at the signal.
    process.stdin.on('error', () => undefined).destroy(reason);
  };
  const restore = (): void => {
    for (const name of names) process.removeListener(name, first);
  };
  // Without our listener the system's own action is back, which also ends a process that no longer answers.
  function first(): void {
    restore();
    tell('cancelling… (once more to stop at once)');
    abort();
  }
  for (const name of names) process.on(name, name === 'SIGHUP' && ignoresHangup() ? () => undefined : first);
  return {
    signal: controller.signal,
    cancel: abort,
    [Symbol.dispose]: restore,
  };
}

/** What bin/cellar found, before Node reset it. */
function ignoresHangup(): boolean {
  return process.env['CELLAR_NOHUP'] === '1';
}
