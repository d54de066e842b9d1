/**
 * Where a UDP datagram goes. In the arena and towards the kernel an endpoint has the form of a Linux
 * sockaddr in 28 bytes, so that the packet path compares and copies it without knowing the family:
 *
 *     IPv4   family 2 LE 2 | port BE 2 | address 4 | zeros 20
 *     IPv6   family 10 LE 2 | port BE 2 | flow info 4 (zero) | address 16 | scope id LE 4
 *
 * Source: ip(7), ipv6(7).
 */

import { equalBytes } from './bytes.ts';
import { formatIp, IPV4_BYTES, IPV6_BYTES, parseIp } from './ip.ts';

export interface Endpoint {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly port: number;
  /** Interface index of a link-local IPv6 address, else 0. */
  readonly scope: number;
}

/** Two unknown ones are the same. */
export function sameEndpoint(a: Endpoint | undefined, b: Endpoint | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.port === b.port && a.scope === b.scope && equalBytes(a.address, b.address);
}

export const SOCKADDR_BYTES = 28;
export const AF_INET = 2;
export const AF_INET6 = 10;

export function sockaddr(endpoint: Endpoint): Uint8Array {
  const bytes = new Uint8Array(SOCKADDR_BYTES);
  const view = new DataView(bytes.buffer);
  const ipv4 = endpoint.address.length === IPV4_BYTES;
  view.setUint16(0, ipv4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, endpoint.port);
  bytes.set(endpoint.address, ipv4 ? 4 : 8);
  if (!ipv4) view.setUint32(24, endpoint.scope, true);
  return bytes;
}

/** The endpoint in 28 bytes at `at`, copied; undefined where the family is neither, as in an empty place. */
export function readSockaddr(bytes: Uint8Array, at = 0): Endpoint | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, SOCKADDR_BYTES);
  const port = view.getUint16(2);
  switch (view.getUint16(0, true)) {
    case AF_INET:
      return { address: copyOf(bytes, at + 4, IPV4_BYTES), port, scope: 0 };
    case AF_INET6:
      return { address: copyOf(bytes, at + 8, IPV6_BYTES), port, scope: view.getUint32(24, true) };
    default:
      return undefined;
  }
}

/** `192.0.2.1:51820`, `[2001:db8::1]:51820`, `[fe80::1%3]:51820` (a scope is a number here). */
export function parseEndpoint(text: string): Endpoint | undefined {
  const match = /^(?:\[([^\]%]+)(?:%(\d{1,10}))?\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const address = parseIp(match[1] ?? match[3] ?? '');
  const port = Number(match[4]);
  const bracketed = match[1] !== undefined;
  if (address === undefined || port > 65_535 || port === 0) return undefined;
  if (bracketed !== (address.length === IPV6_BYTES)) return undefined;
  return { address, port, scope: Number(match[2] ?? 0) };
}

export function formatEndpoint({ address, port, scope }: Endpoint): string {
  const text = formatIp(address);
  if (address.length === IPV4_BYTES) return `${text}:${port}`;
  return scope === 0 ? `[${text}]:${port}` : `[${text}%${scope}]:${port}`;
}

function copyOf(bytes: Uint8Array, at: number, length: number): Uint8Array {
  const copy = new Uint8Array(length);
  copy.set(bytes.subarray(at, at + length));
  return copy;
}
