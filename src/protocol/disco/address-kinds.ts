/**
 * What kind of address somebody told us: whether a packet may be sent there, and how near it looks.
 *
 *     refused    unspecified, loopback, multicast, reserved, link-local IPv6 (its interface is not said),
 *                addresses of the mesh itself (a path through the tunnel to the tunnel), port 0
 *     private    10/8, 172.16/12, 192.168/16, fc00::/7
 *     link       169.254/16
 *     global     the rest
 *
 * Loopback is refused although stock clients take it: no peer of a board lives behind it, but a map that
 * names 127.0.0.1 would have us send datagrams to the board's own services.
 *
 * Source: RFC 6890; the mesh's ranges are protocol constants of Tailscale networks.
 */

import type { Endpoint } from '../../base/endpoint.ts';
import { IPV4_BYTES } from '../../base/ip.ts';
import type { Prefix } from '../../base/prefix.ts';
import { contains, parsePrefix } from '../../base/prefix.ts';

export type AddressKind = 'refused' | 'private' | 'link' | 'global';

const prefixes = (...texts: readonly string[]): readonly Prefix[] =>
  texts.flatMap((text) => parsePrefix(text) ?? []);

const REFUSED = prefixes(
  ...['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/4', '240.0.0.0/4', '100.64.0.0/10'],
  ...['::/96', '::ffff:0:0/96', 'fe80::/10', 'ff00::/8', 'fd7a:115c:a1e0::/48'],
);
const PRIVATE = prefixes('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7');
const LINK = prefixes('169.254.0.0/16');

export function addressKind(address: Uint8Array): AddressKind {
  const within = (list: readonly Prefix[]): boolean => list.some((one) => contains(one, address));
  if (within(REFUSED)) return 'refused';
  if (within(PRIVATE)) return 'private';
  return within(LINK) ? 'link' : 'global';
}

/** Whether a datagram may be sent to an endpoint that somebody else named. */
export function mayBeSentTo({ address, port }: Endpoint): boolean {
  return port > 0 && port < 65_536 && addressKind(address) !== 'refused';
}

/**
 * How much nearer an address looks than one with nothing to say for it, in per cent of latency: a LAN beats
 * the way through the router's NAT even where a single measurement says otherwise.
 */
export function nearness(address: Uint8Array): number {
  const byFamily = address.length === IPV4_BYTES ? 0 : 10;
  switch (addressKind(address)) {
    case 'link':
      return 30 + byFamily;
    case 'private':
      return 20 + byFamily;
    case 'global':
    case 'refused':
      return byFamily;
  }
}
