/** A port of the gateway that leads to ours, as the protocols that ask for one have it in common. */

import type { Endpoint } from '../../base/endpoint.ts';
import { IPV4_BYTES } from '../../base/ip.ts';
import type { Millis } from '../../base/time.ts';

/** What is asked for, and given anew before it ends. */
export const LIFETIME_SECONDS = 7200;

/** Of one network: whom to ask, and for what. */
export interface MappingSite {
  /** 4 bytes. */
  readonly gateway: Uint8Array;
  /** Our address on the gateway's network, with the tunnel's port. */
  readonly own: Endpoint;
}

export interface PortMapping {
  readonly external: Endpoint;
  readonly until: Millis;
}

/** @returns undefined where there is no gateway, or no IPv4 address of ours */
export function mappingSite(
  gateway: Uint8Array | undefined,
  local: readonly Endpoint[],
): MappingSite | undefined {
  if (gateway === undefined) return undefined;
  const own = nearestTo(gateway, local);
  return own && { gateway, own };
}

/** Our address on the gateway's network: the one with the most leading bits in common. */
function nearestTo(gateway: Uint8Array, local: readonly Endpoint[]): Endpoint | undefined {
  const ipv4 = local.filter(({ address }) => address.length === IPV4_BYTES);
  const distance = ({ address }: Endpoint): number =>
    address.reduce((sum, byte, i) => sum * 256 + (byte ^ (gateway[i] as number)), 0);
  return ipv4.sort((a, b) => distance(a) - distance(b))[0];
}
