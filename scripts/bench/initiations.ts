/**
 * Valid WireGuard initiations, made ahead of time: as many as wanted from each of many peers to one responder.
 *
 * They stand end to end, 148 bytes each, round by round: a peer's next one comes only after one of every
 * other peer, so that its 20 ms between two (the responder drops what comes sooner) have passed. Time stamps
 * rise throughout. The sender's index is the place in the list.
 */

import { randomBytes } from 'node:crypto';
import { nodePublic } from '../../src/base/keys.ts';
import { millis, unixMillis } from '../../src/base/time.ts';
import type { OwnKey } from '../../src/crypto/x25519.ts';
import { ownKey, peerKey, takeOwnKey } from '../../src/crypto/x25519.ts';
import { CookieGenerator } from '../../src/protocol/wireguard/cookie.ts';
import { INITIATION_BYTES } from '../../src/protocol/wireguard/messages.ts';
import type { Peering, PendingInitiation } from '../../src/protocol/wireguard/noise.ts';
import {
  consumeResponse,
  createInitiation,
  staticSecret,
} from '../../src/protocol/wireguard/noise.ts';
import { Tai64nClock } from '../../src/protocol/wireguard/tai64n.ts';

const PEERS = 1000;

export interface Initiations {
  /** For `wg setconf`: the responder's key, its port, and all peers. */
  readonly configuration: string;
  readonly count: number;
  readonly datagrams: Uint8Array;
  /** Whether `response` ends the handshake that the first datagram began. May be asked again and again. */
  answersTheFirst(response: Uint8Array): boolean;
}

/** @param rounds initiations of each peer */
export function makeInitiations(rounds: number, listenPort: number): Initiations {
  const secret = randomBytes(32);
  const responder = peerKey(nodePublic(ownKey(secret).publicKey));
  const cookies = new CookieGenerator(responder.publicKey);
  const clock = new Tai64nClock();
  const peerings = Array.from({ length: PEERS }, () => peeringWith(responder));
  const datagrams = new Uint8Array(rounds * PEERS * INITIATION_BYTES);
  let first: PendingInitiation | undefined;
  for (let index = 0; index < rounds * PEERS; index++) {
    const peering = peerings[index % PEERS] as Peering;
    const stamp = clock.next(unixMillis(Date.now()));
    const pending = createInitiation(peering, takeOwnKey(randomBytes(32)), index, stamp);
    if (pending === undefined) throw new Error('bench: a key of low order by chance');
    cookies.addMacs(pending.message, millis(0));
    datagrams.set(pending.message, index * INITIATION_BYTES);
    first ??= pending;
  }
  const lines = peerings.map(({ own }, i) => peerSection(own, i)).join('');
  return {
    configuration: `[Interface]\nPrivateKey = ${secret.toString('base64')}\nListenPort = ${listenPort}\n${lines}`,
    count: rounds * PEERS,
    datagrams,
    answersTheFirst: (response) => first !== undefined && ends(first, response),
  };
}

function peeringWith(peer: Peering['peer']): Peering {
  const own = ownKey(randomBytes(32));
  const secret = staticSecret(own, peer);
  if (secret === undefined) throw new Error('bench: a key of low order by chance');
  return { own, peer, staticSecret: secret };
}

function peerSection({ publicKey }: OwnKey, i: number): string {
  const address = `10.79.${i >> 8}.${i & 255}`;
  const key = Buffer.from(publicKey).toString('base64');
  return `[Peer]\nPublicKey = ${key}\nAllowedIPs = ${address}/32\n`;
}

function ends(pending: PendingInitiation, response: Uint8Array): boolean {
  // A handshake that succeeds is wiped; a copy can be.
  const copy = { ...pending, state: pending.state.fork(), wipe: () => {} };
  return typeof consumeResponse(copy, response, new Uint8Array(32)) !== 'string';
}
