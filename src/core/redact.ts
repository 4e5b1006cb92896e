/** Secrets never reach a message, a log or a record: they are cut out where an error or event is made. */

/**
 * A password may hold an @, so everything up to the last one goes. Here and below no text can be made that is searched
 * again to its end from many places in it.
 */
const urlCredentials = /\b([a-z][a-z0-9+.-]{0,63}:\/\/)[^\s\\/?#"'<>]+@/gi;
/** Of http and https any slashes will do (WHATWG URL). */
const looseCredentials = /\b(https?:[\\/]*)(?:(?!https?:)[^\s\\/?#"'<>])+@/gi;
/** As the stores of the clouds and the servers of packages call them. */
const secretParameter =
  /([?&;](?:[^?&;=#\s]{0,64}(?:token|secret|passw|passphrase|signature|credential|api[_-]?key|access[_-]?key)[^?&;=#\s]{0,64}|sig|key|pass|pwd|auth|jwt|x-(?:amz|goog)-[a-z-]+)=)[^&\s]+/gi;

export function redact(text: string): string {
  return text
    .replace(urlCredentials, '$1***@')
    .replace(looseCredentials, '$1***@')
    .replace(secretParameter, '$1***');
}

/** Names of parameters whose values are secrets, wherever they are given. */
const secretName = /pass(?:word|phrase)?|secret|token|credential|private|key$/i;

/** The same names; values of secrets replaced. */
export function redactParameters(
  parameters: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [name, secretName.test(name) ? '***' : redact(value)]),
  );
}
