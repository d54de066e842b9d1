/**
 * Where this machine stands: the addresses of its interfaces that are up, and its way to the Internet.
 *
 * Source: getifaddrs(3), through Node; the kernel's own list of IPv4 routes, /proc/net/route, a line each:
 *
 *     Iface  Destination  Gateway  Flags  RefCnt  Use  Metric  Mask  MTU  Window  IRTT
 *     eth0   00000000     0102A8C0 0003   0       0    100     00000000 …
 *
 * Addresses there are 8 hexadecimal digits of a number as this machine holds it: bytes from the last to the first.
 * The list is the main table's: a route by a table of our own is not seen, and must not be.
 */

import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { fromHex } from '../base/bytes.ts';
import { parseIp } from '../base/ip.ts';
import type { Prefix } from '../base/prefix.ts';
import { prefixOf } from '../base/prefix.ts';

export interface MachineAddress {
  readonly interface: string;
  readonly address: Uint8Array;
  /** The network that it is in. */
  readonly prefix: Prefix;
  /** Interface index of a link-local IPv6 address, else 0: as in base/endpoint.ts. */
  readonly scope: number;
  readonly loopback: boolean;
}

export interface Gateway {
  readonly address: Uint8Array;
  readonly interface: string;
}

/** Of all interfaces that are up, the tunnel's own too: who does not want that one leaves it out by name. */
export function machineAddresses(): MachineAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([name, list = []]) =>
    list.flatMap((found) => {
      const address = parseIp(found.address);
      const bits = Number(found.cidr?.split('/')[1] ?? Number.NaN);
      if (address === undefined || !(bits <= 8 * address.length)) return [];
      return {
        interface: name,
        address,
        prefix: prefixOf(address, bits),
        scope: found.scopeid ?? 0,
        loopback: found.internal,
      };
    }),
  );
}

/** The router of the IPv4 default route with the least metric; undefined where there is none, or no router. */
export function defaultGateway4(exceptInterface?: string): Gateway | undefined {
  let routes: string;
  try {
    routes = readFileSync('/proc/net/route', 'latin1');
  } catch {
    return undefined;
  }
  return gatewayIn(routes, exceptInterface);
}

const RTF_UP = 0x1;
const RTF_GATEWAY = 0x2;

/** @param routes text of /proc/net/route */
export function gatewayIn(routes: string, exceptInterface?: string): Gateway | undefined {
  let best: Gateway | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const line of routes.split('\n').slice(1)) {
    const [name = '', target, gateway = '', flags = '', , , metric, mask] = line.split(/\s+/);
    if (target !== '00000000' || mask !== '00000000' || name === exceptInterface) continue;
    const wanted = RTF_UP | RTF_GATEWAY;
    if ((Number.parseInt(flags, 16) & wanted) !== wanted || !(Number(metric) < least)) continue;
    const address = fromHex(gateway, 4)?.reverse();
    if (address === undefined) continue;
    least = Number(metric);
    best = { address, interface: name };
  }
  return best;
}
