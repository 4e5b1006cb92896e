/** `WWW-Authenticate`: what a registry wants to see before it answers. */

export interface Challenge {
  /** Lower case: `basic`, `bearer`. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: Readonly<Record<string, string>>;
}

/**
 * Several challenges with commas between them, and between the parameters of each (RFC 9110, 11.6.1). What does not parse
 * is passed over.
 */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  const item = /[\s,]*(?:([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"=]+)))?|.)/gs;
  for (const [, word, quoted, plain] of header.matchAll(item)) {
    if (word === undefined) continue;
    const value = quoted?.replace(/\\(.)/gs, '$1') ?? plain;
    if (value === undefined) challenges.push({ scheme: word.toLowerCase(), parameters: {} });
    else if (challenges.length > 0) challenges.at(-1)!.parameters[word.toLowerCase()] = value;
  }
  return challenges;
}
