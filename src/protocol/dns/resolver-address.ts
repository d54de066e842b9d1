/**
 * Where another resolver answers, as a map, a resolv.conf or systemd-resolved writes it:
 *
 *     192.0.2.1        192.0.2.1:5353        2001:db8::1        [2001:db8::1]:5353        fe80::1%eth0
 *
 * `https://...` (RFC 8484) is none that we can ask: undefined.
 */

import { formatIp, IPV4_BYTES, parseIp } from '../../base/ip.ts';

export interface ResolverAddress {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly port: number;
  /** The interface of a link-local address, by name or number. */
  readonly zone?: string;
}

export const DNS_PORT = 53;

export function parseResolver(text: string): ResolverAddress | undefined {
  const match =
    /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text) ?? /^([^:[\]]+)(?::(\d{1,5}))?$/.exec(text);
  const whole = match?.[1] ?? text;
  const [host = '', zone, ...more] = whole.split('%');
  const address = parseIp(host);
  const port = Number(match?.[2] ?? DNS_PORT);
  if (address === undefined || more.length > 0 || port < 1 || port > 65_535) return undefined;
  if (zone === undefined) return { address, port };
  if (!/^[\w.-]{1,15}$/.test(zone) || address.length === IPV4_BYTES) return undefined;
  return { address, port, zone };
}

export function formatResolver({ address, port, zone }: ResolverAddress): string {
  const host = formatIp(address) + (zone === undefined ? '' : `%${zone}`);
  if (port === DNS_PORT) return host;
  return address.length === IPV4_BYTES ? `${host}:${port}` : `[${host}]:${port}`;
}
