/**
 * Disco messages: how two nodes look for a direct path to one another, and see that it still works. They
 * share the UDP socket with WireGuard, or go by a relay.
 *
 *     0               6                  38         62
 *     | "TS" f09f92ac | sender's disco   | nonce 24 | tag 16 | type 1 | version 1 | body
 *       magic           public key 32      └── NaCl box from that key to ours ──────────┘
 *
 *     1 ping            transaction 12 | sender's node key 32 | zeros, any number
 *     2 pong            transaction 12 | endpoint 18: where the ping came from
 *     3 call-me-maybe   endpoint 18, any number: "I am there and pinging you now"; by relay only
 *
 *     endpoint          address 16, IPv4 as ::ffff:a.b.c.d | port BE 2
 *
 * Bodies may grow, so bytes after the known ones are passed over. Whoever knows a node's disco key can send
 * it anything, hence each flaw is a reason to count and nothing more. The box is all the authenticity there
 * is: who sent a message is known from the key that opened it, never from the address.
 *
 * Source: the open Tailscale protocol, as stock clients 1.102.3 speak it.
 */

import { concat, equalBytes } from '../../base/bytes.ts';
import type { Endpoint } from '../../base/endpoint.ts';
import { fromMapped, IPV6_BYTES, toMapped } from '../../base/ip.ts';
import type { DiscoPublic, NodePublic } from '../../base/keys.ts';
import { discoPublic, KEY_BYTES, nodePublic } from '../../base/keys.ts';
import { BOX_EXTRA_BYTES, openBox, sealBox } from '../../crypto/box.ts';

export const DISCO_TRANSACTION_BYTES = 12;

const MAGIC = Uint8Array.of(0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac);
const BOX_AT = MAGIC.length + KEY_BYTES;
const HEADER_BYTES = 2;
const ENDPOINT_BYTES = IPV6_BYTES + 2;

/** As many endpoints of a call are read; a peer with more can be reached by one of these, or is up to mischief. */
const MAX_ENDPOINTS = 64;

const PING = 1;
const PONG = 2;
const CALL_ME_MAYBE = 3;

export type DiscoMessage =
  | { readonly type: 'ping'; readonly transaction: Uint8Array; readonly sender: NodePublic }
  | { readonly type: 'pong'; readonly transaction: Uint8Array; readonly seenFrom: Endpoint }
  | { readonly type: 'call-me-maybe'; readonly endpoints: readonly Endpoint[] };

/** Why a message was dropped; each is a counter. */
export type DiscoDrop = 'disco: box does not open' | 'disco: too short' | 'disco: unknown type';

/** Whether a datagram is disco's; a shorter one could hold no message. */
export function isDisco(datagram: Uint8Array): boolean {
  return (
    datagram.length >= BOX_AT + BOX_EXTRA_BYTES + HEADER_BYTES &&
    equalBytes(datagram.subarray(0, MAGIC.length), MAGIC)
  );
}

/** The key that a datagram claims to come from; a box that opens proves it. @param datagram one that isDisco */
export function discoSender(datagram: Uint8Array): DiscoPublic {
  return discoPublic(datagram.subarray(MAGIC.length, BOX_AT));
}

/** @param key of `boxKey`, from the own disco key to the peer's @param nonce 24 random bytes */
export function sealDisco(
  own: DiscoPublic,
  key: Uint8Array,
  nonce: Uint8Array,
  message: DiscoMessage,
): Uint8Array {
  return concat(MAGIC, own, sealBox(key, nonce, encodeDisco(message)));
}

/** What a datagram says, or why it says nothing. Never throws. @param datagram one that isDisco */
export function openDisco(key: Uint8Array, datagram: Uint8Array): DiscoMessage | DiscoDrop {
  const plaintext = openBox(key, datagram.subarray(BOX_AT));
  return plaintext === undefined ? 'disco: box does not open' : decodeDisco(plaintext);
}

/** What goes into the box. */
export function encodeDisco(message: DiscoMessage): Uint8Array {
  switch (message.type) {
    case 'ping':
      return concat(Uint8Array.of(PING, 0), message.transaction, message.sender);
    case 'pong':
      return concat(Uint8Array.of(PONG, 0), message.transaction, endpointBytes(message.seenFrom));
    case 'call-me-maybe':
      return concat(Uint8Array.of(CALL_ME_MAYBE, 0), ...message.endpoints.map(endpointBytes));
  }
}

/** What was in an opened box. The result keeps nothing of `plaintext`'s memory. */
export function decodeDisco(plaintext: Uint8Array): DiscoMessage | DiscoDrop {
  if (plaintext.length < HEADER_BYTES) return 'disco: too short';
  const body = plaintext.subarray(HEADER_BYTES);
  const transaction = body.slice(0, DISCO_TRANSACTION_BYTES);
  const rest = body.subarray(DISCO_TRANSACTION_BYTES);
  switch (plaintext[0]) {
    case PING:
      if (rest.length < KEY_BYTES) return 'disco: too short';
      return { type: 'ping', transaction, sender: nodePublic(rest.subarray(0, KEY_BYTES)) };
    case PONG:
      if (rest.length < ENDPOINT_BYTES) return 'disco: too short';
      return { type: 'pong', transaction, seenFrom: readEndpoint(rest, 0) };
    case CALL_ME_MAYBE: {
      const count = Math.min(MAX_ENDPOINTS, Math.floor(body.length / ENDPOINT_BYTES));
      const endpoints = Array.from({ length: count }, (_, i) =>
        readEndpoint(body, i * ENDPOINT_BYTES),
      );
      return { type: 'call-me-maybe', endpoints };
    }
    default:
      return 'disco: unknown type';
  }
}

/** How a ping that came by a relay is answered: stock clients write a region as port of this address. */
export function relayEndpoint(region: number): Endpoint {
  return { address: Uint8Array.of(127, 3, 3, 40), port: region & 0xffff, scope: 0 };
}

function endpointBytes({ address, port }: Endpoint): Uint8Array {
  return concat(toMapped(address), Uint8Array.of(port >> 8, port & 0xff));
}

function readEndpoint(bytes: Uint8Array, at: number): Endpoint {
  const port = ((bytes[at + IPV6_BYTES] as number) << 8) | (bytes[at + IPV6_BYTES + 1] as number);
  return { address: fromMapped(bytes.slice(at, at + IPV6_BYTES)), port, scope: 0 };
}
