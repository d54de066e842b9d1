/**
 * Others' handshakes: the cheapest question first, and an answer only to a peer that we know, at a time later
 * than any before.
 *
 *     for us? (one X25519) -> known peer? -> proved? -> new? -> response, keypair waits for its first packet
 */

import type { Env } from '../../base/env.ts';
import { KEY_BYTES } from '../../base/keys.ts';
import type { Millis } from '../../base/time.ts';
import { NEVER } from '../../base/time.ts';
import type { OwnKey, PeerKey } from '../../crypto/x25519.ts';
import { INITIATION_INTERVAL } from '../../protocol/wireguard/constants.ts';
import type { ReceivedInitiation } from '../../protocol/wireguard/noise.ts';
import {
  consumeInitiation,
  createResponse,
  openInitiation,
} from '../../protocol/wireguard/noise.ts';
import { isLater } from '../../protocol/wireguard/tai64n.ts';
import type { Outcomes, ResponderPorts } from './handshakes.ts';
import type { Peer } from './peer.ts';
import { presharedKeyBytes } from './peer.ts';

export class Responder {
  readonly #env: Env;
  readonly #ports: ResponderPorts;
  readonly #outcomes: Outcomes;

  constructor(env: Env, ports: ResponderPorts, outcomes: Outcomes) {
    this.#env = env;
    this.#ports = ports;
    this.#outcomes = outcomes;
  }

  /** An initiation came, with a good MAC1; its outcome. */
  answer(own: OwnKey, datagram: Uint8Array, source: Uint8Array): string {
    const opened = openInitiation(own, datagram);
    if (typeof opened === 'string') return opened;
    const peer = this.#ports.peer(opened.claimed);
    if (peer === undefined || peer.peering === null) {
      opened.wipe();
      return 'handshake: unknown peer';
    }
    const received = consumeInitiation(opened, peer.peering.staticSecret);
    if (typeof received === 'string') return received;
    const now = this.#env.now();
    const stale = staleness(peer, received.timestamp, now);
    if (stale !== undefined) {
      received.wipe();
      return stale;
    }
    peer.latestTimestamp = received.timestamp;
    peer.lastInitiationConsumed = now;
    return this.#respond(peer, peer.peering.peer, received, source);
  }

  #respond(peer: Peer, theirs: PeerKey, received: ReceivedInitiation, source: Uint8Array): string {
    const { keypairs, active, ways, changed, answer } = this.#ports;
    const now = this.#env.now();
    active.activate(peer);
    const keypair = keypairs.take();
    if (keypair === undefined) {
      received.wipe();
      return 'handshake: keypair slots full';
    }
    const ownIndex = keypairs.newIndex(keypair);
    const ephemeral = this.#env.random(KEY_BYTES);
    const { sender: peerIndex } = received;
    const response = createResponse(received, theirs, presharedKeyBytes(peer), ephemeral, ownIndex);
    if (typeof response === 'string') {
      keypairs.free(keypair);
      return response;
    }
    ways.heard(peer, source);
    const { keys, message } = response;
    keypairs.install(peer, keypair, { keys, ownIndex, peerIndex, createdAt: now, rekeyAt: NEVER });
    peer.cookies.addMacs(message, now);
    answer(source, message);
    this.#outcomes.tell('initiation answered', peer);
    changed(peer);
    return 'initiation answered';
  }
}

function staleness(peer: Peer, timestamp: Uint8Array, now: Millis): string | undefined {
  if (!isLater(timestamp, peer.latestTimestamp)) return 'handshake: replayed initiation';
  const since = now - peer.lastInitiationConsumed;
  return since < INITIATION_INTERVAL ? 'handshake: initiation flood' : undefined;
}
