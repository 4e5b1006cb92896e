/** This machine itself: it is reached without a proxy, and a registry on it may speak plain HTTP. */

/** @param host as URLs have it: in lower case, an IPv6 address in brackets, without a port */
export function isLoopback(host: string): boolean {
  return /^(?:(?:.+\.)?localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(host);
}
