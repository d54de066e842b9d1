/**
 * Where others may find us: what this node tells the server, and its peers in a call-me-maybe.
 *
 *     local             an address of the machine, with the tunnel's port
 *     stun              what a STUN server saw, one for each family
 *     port-mapped       what the gateway keeps open for us
 *     stun-local-port   the address that STUN saw with our own port: somebody may have forwarded it by hand
 *
 * The last is a guess, and made only while the NAT is not known to be easy: behind an easy one the STUN
 * endpoint serves already. With a single STUN server, a hard NAT is never seen to be one.
 */

import type { Endpoint } from '../../base/endpoint.ts';
import { formatEndpoint } from '../../base/endpoint.ts';
import { IPV4_BYTES } from '../../base/ip.ts';
import { mayBeSentTo } from '../../protocol/disco/address-kinds.ts';
import type { OwnEndpoint } from './ports.ts';

/** More local ones than this would be a machine with a bridge for each container. */
const MAX_LOCAL = 16;

export interface EndpointFacts {
  readonly local: readonly Endpoint[];
  readonly stun4: Endpoint | undefined;
  readonly stun6: Endpoint | undefined;
  readonly portMapped: Endpoint | undefined;
  /** undefined: it takes two STUN servers to know. */
  readonly mappingVaries: boolean | undefined;
}

/** Each endpoint once, by its first reason, in a fixed order. */
export function ownEndpoints(facts: EndpointFacts): readonly OwnEndpoint[] {
  const found = new Map<string, OwnEndpoint>();
  const add = (endpoint: Endpoint | undefined, type: OwnEndpoint['type']): void => {
    if (endpoint === undefined || !mayBeSentTo(endpoint)) return;
    const text = formatEndpoint(endpoint);
    if (!found.has(text)) found.set(text, { endpoint, type });
  };
  for (const endpoint of facts.local.slice(0, MAX_LOCAL)) add(endpoint, 'local');
  add(facts.stun4, 'stun');
  add(facts.stun6, 'stun');
  add(facts.portMapped, 'port-mapped');
  const ownPort = facts.local.find(({ address }) => address.length === IPV4_BYTES)?.port;
  if (facts.stun4 !== undefined && ownPort !== undefined && facts.mappingVaries !== false)
    add({ ...facts.stun4, port: ownPort }, 'stun-local-port');
  return [...found.values()];
}

export function sameEndpoints(a: readonly OwnEndpoint[], b: readonly OwnEndpoint[]): boolean {
  const texts = (list: readonly OwnEndpoint[]): string =>
    list
      .map(({ endpoint, type }) => `${type} ${formatEndpoint(endpoint)}`)
      .sort()
      .join(' ');
  return texts(a) === texts(b);
}
