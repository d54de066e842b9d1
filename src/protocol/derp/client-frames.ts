/**
 * Frames that a client of a relay writes, and which of its packets must not be lost first. See frames.ts for
 * the layout.
 */

import type { NodePublic } from '../../base/keys.ts';
import { FRAME, HEADER_BYTES, KEY_BYTES } from './constants.ts';
import { frame } from './frames.ts';

/** Where the packet stands in SendPacket and in RecvPacket. */
export const PACKET_AT: number = HEADER_BYTES + KEY_BYTES;

/** Writes a SendPacket frame to `into`, which has room for it; gives the place behind it. */
export function writeSendPacket(
  into: Uint8Array,
  at: number,
  peer: NodePublic,
  packet: Uint8Array,
): number {
  const length = KEY_BYTES + packet.length;
  into[at] = FRAME.sendPacket;
  into[at + 1] = length >>> 24;
  into[at + 2] = length >>> 16;
  into[at + 3] = length >>> 8;
  into[at + 4] = length;
  into.set(peer, at + HEADER_BYTES);
  into.set(packet, at + PACKET_AT);
  return at + PACKET_AT + packet.length;
}

/** Tells the relay whether it is this client's home. It changes the relay's statistics and nothing else. */
export const notePreferred = (home: boolean): Uint8Array =>
  frame(FRAME.notePreferred, Uint8Array.of(home ? 1 : 0));

/** @param token 8 bytes, which come back in a Pong */
export const ping = (token: Uint8Array): Uint8Array => frame(FRAME.ping, token);

export const pong = (token: Uint8Array): Uint8Array => frame(FRAME.pong, token);

/** Of a disco packet: "TS" and a speech balloon in UTF-8; a key of 32 and a nonce of 24 bytes follow. */
const DISCO_MAGIC = Uint8Array.of(0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac);
const MIN_DISCO_BYTES = 62;

/** WireGuard's initiation 1, response 2 and cookie reply 3; what carries data is 4. */
const LAST_HANDSHAKE_TYPE = 3;

/**
 * Whether the packet in `bytes` from `at` to `end` opens a path or a session: disco, or a handshake. These are
 * few, short, and nothing else stands in for them; a lost packet with data is sent again by whoever misses it.
 */
export function opensWay(bytes: Uint8Array, at: number, end: number): boolean {
  const first = bytes[at] as number;
  if (first >= 1 && first <= LAST_HANDSHAKE_TYPE)
    return bytes[at + 1] === 0 && bytes[at + 2] === 0 && bytes[at + 3] === 0 && end - at >= 4;
  if (first !== DISCO_MAGIC[0] || end - at < MIN_DISCO_BYTES) return false;
  for (let i = 1; i < DISCO_MAGIC.length; i++) if (bytes[at + i] !== DISCO_MAGIC[i]) return false;
  return true;
}
