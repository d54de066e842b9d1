/** How long a packet becomes on its way. */

import { TRANSPORT_LEAST_BYTES } from '../../protocol/wireguard/messages.ts';

/** Bytes of the datagram for a packet: padded to 16, but never beyond the MTU (the paper, 5.4.6). */
export function sealedBytes(length: number, mtuBytes: number): number {
  const padded = (length + 15) & ~15;
  if (padded <= mtuBytes) return padded + TRANSPORT_LEAST_BYTES;
  return Math.max(length, mtuBytes) + TRANSPORT_LEAST_BYTES;
}
