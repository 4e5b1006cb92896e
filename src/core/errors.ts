/**
 * The one error class. Its code selects the row of the registry (message template, exit code, HTTP status,
 * retryable); each instance adds what, where, why and a hint that names the next command.
 * Callers match on `code`, never on the message.
 */
import { errorRegistry, type ErrorCode } from './error-registry.ts';
import { redact } from './redact.ts';

export interface ErrorDetails {
  /** Values for the `{name}` places of the template; they travel in JSON output too. */
  readonly [name: string]: string | number | boolean | readonly string[] | undefined;
}

export interface ErrorOptions {
  readonly details?: ErrorDetails;
  readonly hint?: string;
  readonly cause?: unknown;
}

export class CellarError extends Error {
  override readonly name = 'CellarError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, options: ErrorOptions = {}) {
    const details = redactDetails(options.details ?? {});
    super(
      fill(errorRegistry[code].message, details),
      options.cause === undefined ? {} : { cause: options.cause },
    );
    this.code = code;
    this.details = details;
    const hint = options.hint ?? errorRegistry[code].hint;
    this.hint = hint === undefined ? undefined : redact(fill(hint, details));
  }

  get exitCode(): number {
    return errorRegistry[this.code].exitCode;
  }

  get httpStatus(): number {
    return errorRegistry[this.code].httpStatus;
  }

  get retryable(): boolean {
    return errorRegistry[this.code].retryable ?? false;
  }

  toJSON(): Record<string, unknown> {
    return { code: this.code, message: this.message, hint: this.hint, details: this.details };
  }
}

/** True for our error, with that code where one is given. */
export function isCellarError(error: unknown, code?: ErrorCode): error is CellarError {
  return error instanceof CellarError && (code === undefined || error.code === code);
}

/** `[…]` around a place is left out where the details lack it. */
function fill(template: string, details: ErrorDetails): string {
  const told = template.replace(/\[([^[\]]*\{(\w+)\}[^[\]]*)\]/g, (_, part: string, name: string) =>
    details[name] === undefined ? '' : part,
  );
  return told.replace(/\{(\w+)\}/g, (place, name: string) => {
    const value = details[name] ?? place;
    return Array.isArray(value) ? value.join('; ') : String(value);
  });
}

function redactDetails(details: ErrorDetails): ErrorDetails {
  return Object.fromEntries(Object.entries(details).map(([name, value]) => [name, redactValue(value)]));
}

function redactValue(value: ErrorDetails[string]): ErrorDetails[string] {
  if (typeof value === 'string') return redact(value);
  return typeof value === 'object' ? value.map(redact) : value;
}
