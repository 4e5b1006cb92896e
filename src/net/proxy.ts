/** Which proxy a request goes through: the source's own, else what the environment says, as curl reads it. */
import { BlockList, isIP } from 'node:net';
import type { Environment } from '../core/environment.ts';
import { CellarError } from '../core/errors.ts';
import { isLoopback } from './loopback.ts';
import { basicOfUrl, withoutUser } from './userinfo.ts';

/**
 * A source's own proxy serves all its requests. The environment's does not serve this machine itself (`localhost`,
 * loopback addresses) nor what `no_proxy` lists. @throws E_USAGE for a proxy that is no http or https URL
 */
export function proxyFor(
  url: URL,
  proxy: string | undefined,
  environment: Environment,
): { readonly uri: string; readonly token: string | undefined } | undefined {
  if (proxy !== undefined) return parseProxy(proxy);
  const found = variable(environment, url.protocol === 'https:' ? 'https_proxy' : 'http_proxy');
  if (found === undefined || isLoopback(url.hostname)) return undefined;
  return isExempt(url, variable(environment, 'no_proxy') ?? '') ? undefined : parseProxy(found);
}

/** True when `no_proxy` lists the host: names with their subdomains, addresses, CIDR ranges, `:port`, `*`. */
export function isExempt(url: URL, noProxy: string): boolean {
  const host = bare(url.hostname);
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  return noProxy
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => matches(entry, host, port));
}

function matches(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true;
  if (entry.includes('/')) return inRange(entry, host);
  const withPort = /^(\[.*\]|[^:]*):(\d+)$/.exec(entry);
  if (withPort !== null && withPort[2] !== port) return false;
  const name = bare(withPort?.[1] ?? entry).replace(/^\*?\./, '');
  return host === name || (isIP(host) === 0 && host.endsWith(`.${name}`));
}

function inRange(entry: string, host: string): boolean {
  const [network = '', bits = ''] = entry.split('/');
  const family = isIP(network);
  if (family === 0 || family !== isIP(host) || !/^\d+$/.test(bits)) return false;
  if (Number(bits) > (family === 6 ? 128 : 32)) return false;
  const kind = family === 6 ? 'ipv6' : 'ipv4';
  const list = new BlockList();
  list.addSubnet(network, Number(bits), kind);
  return list.check(host, kind);
}

function bare(host: string): string {
  return host.replace(/^\[|\]$/g, '');
}

function parseProxy(text: string): { uri: string; token: string | undefined } {
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(full) ? new URL(full) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    const problem = `the proxy '${withoutUser(text)}' is no http or https URL`;
    throw new CellarError('E_USAGE', { details: { problem } });
  }
  return { uri: url.origin, token: basicOfUrl(url) };
}

function variable(environment: Environment, name: string): string | undefined {
  const value = environment[name] ?? environment[name.toUpperCase()];
  return value === undefined || value.trim() === '' ? undefined : value.trim();
}
