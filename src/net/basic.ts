/** Names and passwords as values of `Authorization` and `Proxy-Authorization` (RFC 7617). */

export function basic({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** Of the user part of a URL, where it has one. */
export function basicOfUrl({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined;
  return basic({ username: decoded(username), password: decoded(password) });
}

/** A percent sign that begins nothing stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
