/** User name and password: within URLs, where nobody is to see them, and as `Authorization` says them. */

/** Value of `Authorization` and `Proxy-Authorization` (RFC 7617). */
export function basic({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** Of the user part of a URL, where it has one. */
export function basicOfUrl({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined;
  return basic({ username: decoded(username), password: decoded(password) });
}

/** Takes user name and password out of a URL. */
export function stripUser(url: URL): void {
  url.username = '';
  url.password = '';
}

/** For messages about text that is no URL: a password may hold whatever keeps it from being one. */
export function withoutUser(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, '$1***@');
}

/** A percent sign that begins nothing stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
