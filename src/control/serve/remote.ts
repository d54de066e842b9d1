/**
 * Where a connection comes from, for logs and for what one address may have at once.
 *
 *     IPv4       the address
 *     IPv6       its first 64 bits: whoever has one address there has them all
 *     loopback   no group: a proxy in front of us speaks for everybody
 */

import { toHex } from '../../base/bytes.ts';
import type { Endpoint } from '../../base/endpoint.ts';
import { formatEndpoint } from '../../base/endpoint.ts';
import { IPV4_BYTES } from '../../base/ip.ts';
import type { Origin } from '../relay/origin.ts';

export interface Remote {
  /** Address and port. */
  readonly text: string;
  readonly tls: boolean;
  /** Limits of one address count by this; undefined: none of them. */
  readonly group: string | undefined;
}

export function remoteFrom({ remote, tls }: Origin): Remote {
  return { text: formatEndpoint(remote), tls, group: groupOf(remote) };
}

function groupOf({ address }: Endpoint): string | undefined {
  if (address.length === IPV4_BYTES) return address[0] === 127 ? undefined : toHex(address);
  const isLoopback = address.every((byte, i) => byte === (i === 15 ? 1 : 0));
  return isLoopback ? undefined : toHex(address.subarray(0, 8));
}
