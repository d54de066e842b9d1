/**
 * What a node may be asked for: a packet by the tunnel to anything else is dropped, whatever the rules say, so
 * that no peer reaches what was never offered.
 *
 *     our addresses             each of them
 *     LAN devices               their mesh addresses
 *     routes, offered and approved   as they are
 *     default route (exit node)      the Internet: public addresses, without the networks that this machine is
 *                                    attached to, and with its own public addresses
 *
 * Public is, for IPv4, what no registry keeps for private use, mesh, loopback, link, multicast or the future;
 * for IPv6, what is in use at all: 2000::/3, and 64:ff9b::/96 for those behind a NAT64 (RFC 6052). Stock exit
 * nodes keep other IPv6 addresses reachable, unique local ones too; here a route must name them.
 */

import type { Prefix } from '../base/prefix.ts';
import { parsePrefix } from '../base/prefix.ts';
import type { AddressSet } from './address-set.ts';
import {
  addressSet,
  difference,
  EVERY_ADDRESS,
  intersection,
  prefixesOf,
  prefixSet,
  union,
} from './address-set.ts';

export interface LocalFacts {
  /** Our own mesh addresses. */
  readonly addresses: readonly Uint8Array[];
  /** Mesh addresses of LAN devices that are mapped. */
  readonly devices: readonly Uint8Array[];
  /** Offered by us and approved by the server. */
  readonly routes: readonly Prefix[];
  /** Networks of the machine's other interfaces. */
  readonly attached: readonly Prefix[];
  /** Addresses of the machine's other interfaces. */
  readonly hosts: readonly Uint8Array[];
}

const NOT_PUBLIC: AddressSet = ofTexts(
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '224.0.0.0/3',
);

const PUBLIC: AddressSet = {
  ipv4: difference(EVERY_ADDRESS, NOT_PUBLIC).ipv4,
  ipv6: ofTexts('2000::/3', '64:ff9b::/96').ipv6,
};

export function localTargets(facts: LocalFacts): readonly Prefix[] {
  const own = [...facts.addresses, ...facts.devices].map(addressSet);
  const routes = facts.routes.map((route) =>
    route.bits === 0 ? internet(route, facts) : prefixSet(route),
  );
  return prefixesOf(union([...own, ...routes]));
}

function internet(route: Prefix, { attached, hosts }: LocalFacts): AddressSet {
  const family = intersection(prefixSet(route), PUBLIC);
  const beyond = difference(family, union(attached.map(prefixSet)));
  return union([beyond, intersection(family, union(hosts.map(addressSet)))]);
}

function ofTexts(...texts: readonly string[]): AddressSet {
  return union(
    texts.flatMap((text) => {
      const prefix = parsePrefix(text);
      return prefix === undefined ? [] : [prefixSet(prefix)];
    }),
  );
}
