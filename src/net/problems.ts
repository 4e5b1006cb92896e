/** What went wrong on the wire, in words, and whether it may go better the next time. */
import { CellarError } from '../core/errors.ts';
import { redact } from '../core/redact.ts';
import { Failed } from './attempts.ts';

export interface Circumstances {
  readonly url: string;
  readonly signal: AbortSignal;
  /** Milliseconds of silence after which we gave up ourselves. */
  readonly timedOut: number | undefined;
}

/** An attempt's end as {@link Failed}, or E_CANCELLED. */
export function wireFailure(error: unknown, { url, signal, timedOut }: Circumstances): Failed | CellarError {
  if (signal.aborted) return new CellarError('E_CANCELLED', { cause: signal.reason });
  if (error instanceof CellarError) return error;
  if (timedOut !== undefined)
    return new Failed(silence(url, { ms: timedOut, sent: 'nothing' }), { again: true });
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  // Ours to blame, and the same the next time: no word about the server.
  if (code === 'EMFILE' || code === 'ENFILE')
    return new CellarError('E_TOO_MANY_OPEN', {
      details: { doing: `connecting to ${redact(url)}`, path: redact(url) },
      cause: error,
    });
  if (isNoTls(error)) {
    const problem = 'what answers there speaks no TLS';
    const hint = 'http:// is for servers without TLS (docker+http:// for registries), and protects nothing';
    return new Failed(
      new CellarError('E_HTTP_UNREACHABLE', { details: { url, problem }, hint, cause: error }),
      {
        again: false,
      },
    );
  }
  if (/\b407\b/.test(message)) return new Failed(proxyRefuses(url), { again: false });
  const problem =
    closed.get(message) ??
    words.get(code) ??
    (isCertificateProblem(code) ? `its certificate is refused: ${message}` : message.trim());
  const details = { url, problem };
  const again = !isCertificateProblem(code) && code !== 'ENOTFOUND' && !code.startsWith('ERR_INVALID');
  return new Failed(new CellarError('E_HTTP_UNREACHABLE', { details, cause: error }), { again });
}

export function silence(url: string, { ms, sent }: { ms: number; sent: string }): CellarError {
  return new CellarError('E_HTTP_TIMEOUT', { details: { url, sent, seconds: ms / 1000 } });
}

/** True when nothing of the request can have reached the server. */
export function neverSent(error: CellarError): boolean {
  const code = codeOf(error.cause);
  return code === 'ECONNREFUSED' || code === 'EHOSTUNREACH' || code === 'ENETUNREACH' || code === 'EAI_AGAIN';
}

/** Node's words for an orderly end, with the code of a reset. */
const closed = new Map([
  ['socket hang up', 'the connection was closed'],
  ['aborted', 'the connection was closed'],
]);

const words = new Map([
  ['ECONNREFUSED', 'the connection is refused'],
  ['ECONNRESET', 'the connection was reset'],
  ['EPIPE', 'the connection was closed'],
  ['ENOTFOUND', 'there is no such host'],
  ['EAI_AGAIN', 'the name server does not answer'],
  ['EHOSTUNREACH', 'there is no way to that host'],
  ['ENETUNREACH', 'there is no way to that network'],
  ['ETIMEDOUT', 'no connection came about'],
  ['HPE_HEADER_OVERFLOW', 'the headers are too large'],
]);

export function proxyRefuses(url: string): CellarError {
  return new CellarError('E_AUTHENTICATION', {
    details: { url: `the proxy on the way to ${url}`, status: 407 },
    hint: 'give user name and password in the URL of the proxy',
  });
}

/** OpenSSL's word for an answer that is none, such as that of a server of plain HTTP. */
function isNoTls(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++)
    if (/wrong version number/.test(at.message)) return true;
  return false;
}

function isCertificateProblem(code: string): boolean {
  return /CERT|^ERR_TLS|SELF_SIGNED|UNABLE_TO_|^ERR_SSL/.test(code);
}

/** The deepest code in the chain of causes that we have words for, else the outermost. */
function codeOf(error: unknown): string {
  const codes: string[] = [];
  for (let at = error; at instanceof Error && codes.length < 5; at = at.cause)
    codes.push('code' in at && typeof at.code === 'string' ? at.code : '');
  return codes.findLast((code) => words.has(code) || isCertificateProblem(code)) ?? codes[0] ?? '';
}
