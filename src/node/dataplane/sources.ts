/**
 * Sources of a datagram that are no socket address, in the form of one, so that whoever counts, limits or
 * answers by source need not know them apart:
 *
 *     family LE 2 | zeros 6 | peer number LE 4 | zeros 16
 *
 *     RELAYED   a datagram that came by a relay, which names the peer as its sender
 *     INNER     a packet of that peer's out of the tunnel, for this program and not for the system
 */

import { SOCKADDR_BYTES } from '../../base/endpoint.ts';

export const RELAYED = 0xff00;
export const INNER = 0xff01;

export interface PeerSource {
  readonly family: typeof RELAYED | typeof INNER;
  readonly peer: number;
}

export function peerSource({ family, peer }: PeerSource): Uint8Array {
  const bytes = new Uint8Array(SOCKADDR_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, family, true);
  view.setUint32(8, peer, true);
  return bytes;
}

/** Undefined for a socket address. */
export function readPeerSource(bytes: Uint8Array): PeerSource | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, SOCKADDR_BYTES);
  const family = view.getUint16(0, true);
  if (family !== RELAYED && family !== INNER) return undefined;
  return { family, peer: view.getUint32(8, true) };
}
