/**
 * The address that clients are given: `http://192.168.1.2:8080` or `https://mesh.example.org`.
 *
 *     https://name                    any client, with a certificate that it trusts
 *     http://private address, literal any client since 1.80, on this LAN
 *     http://anything else            clients come back on https, port 443, after a restart: said at start
 *
 * Source: reference/protocol.md 1.3. A path would be dropped by clients, so it is refused.
 */

import { IPV4_BYTES, parseIp } from '../../base/ip.ts';

export interface ControlUrl {
  /** Without a slash at the end. */
  readonly text: string;
  readonly secure: boolean;
  /** A name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
}

/** @returns what was wanted, where it is none */
export function parseControlUrl(text: string): ControlUrl | string {
  const wanted = 'wanted http://HOST:PORT or https://HOST';
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) return wanted;
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '' || url.username !== '')
    return `${wanted} and nothing else (clients drop a path)`;
  const secure = url.protocol === 'https:';
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port);
  return { text: url.origin, secure, host: url.hostname.replace(/^\[|\]$/g, ''), port };
}

/** Whether stock clients stay on plain HTTP: a private address as a literal, or localhost. */
export function staysPlain({ host }: ControlUrl): boolean {
  if (host === 'localhost') return true;
  const bytes = parseIp(host);
  if (bytes === undefined) return false;
  const [a = 0, b = 0] = bytes;
  if (bytes.length === IPV4_BYTES)
    return a === 10 || a === 127 || (a === 192 && b === 168) || (a === 172 && b >= 16 && b < 32);
  const isLoopback = bytes.every((byte, i) => byte === (i === 15 ? 1 : 0));
  return isLoopback || (a & 0xfe) === 0xfc;
}
