/** The size of TCP super-packets that the kernel is asked for, so that each becomes one call to send. */

import { TRANSPORT_LEAST_BYTES } from './protocol/wireguard/messages.ts';

/** Bytes of a TCP super-packet whose segments, sealed, fill one GSO send: 64 of them, and 65,507 bytes, at most. */
export function fullSuperPacket(mtuBytes: number): number {
  const headers = 52;
  const sealed = Math.min((mtuBytes + 15) & ~15, Math.max(mtuBytes, 16)) + TRANSPORT_LEAST_BYTES;
  const segments = Math.max(1, Math.min(64, Math.floor(65_507 / sealed)));
  return Math.min(65_535, segments * (mtuBytes - headers) + headers);
}
