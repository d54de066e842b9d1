/**
 * Others' handshakes: the cheapest question first, and an answer only to a peer that we know, at a time later
 * than any before.
 *
 *     the one just answered? -> for us? (one X25519) -> known peer? -> proved? -> new? -> response
 */

import { equalBytes } from '../../base/bytes.ts';
import type { Env } from '../../base/env.ts';
import type { Millis } from '../../base/time.ts';
import { NEVER } from '../../base/time.ts';
import type { OwnKey, PeerKey } from '../../crypto/x25519.ts';
import { INITIATION_INTERVAL } from '../../protocol/wireguard/constants.ts';
import { INITIATION_BYTES } from '../../protocol/wireguard/messages.ts';
import type { ReceivedInitiation } from '../../protocol/wireguard/noise.ts';
import {
  consumeInitiation,
  createResponse,
  openInitiation,
} from '../../protocol/wireguard/noise.ts';
import { isLater } from '../../protocol/wireguard/tai64n.ts';
import type { EphemeralKeys } from './ephemeral-keys.ts';
import type { Outcomes, ResponderPorts } from './handshakes.ts';
import type { Peer } from './peer.ts';
import { presharedKeyBytes } from './peer.ts';

const ANSWERED = 'initiation answered';
const REPLAYED = 'handshake: replayed initiation';

export class Responder {
  readonly #env: Env;
  readonly #ports: ResponderPorts;
  readonly #outcomes: Outcomes;
  readonly #ephemerals: EphemeralKeys;
  /** What was answered last: in a mesh it comes by several ways at once. */
  readonly #answered = new Uint8Array(INITIATION_BYTES);

  constructor(env: Env, ports: ResponderPorts, outcomes: Outcomes, ephemerals: EphemeralKeys) {
    this.#env = env;
    this.#ports = ports;
    this.#outcomes = outcomes;
    this.#ephemerals = ephemerals;
  }

  /** An initiation came, with a good MAC1; its outcome. */
  answer(own: OwnKey, datagram: Uint8Array, source: Uint8Array): string {
    if (equalBytes(datagram, this.#answered)) return REPLAYED;
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
    const outcome = this.#respond(peer, peer.peering.peer, received, source);
    if (outcome === ANSWERED) this.#answered.set(datagram);
    return outcome;
  }

  #respond(peer: Peer, theirs: PeerKey, received: ReceivedInitiation, source: Uint8Array): string {
    const { keypairs, active, ways, changed, answer, afterwards } = this.#ports;
    const now = this.#env.now();
    active.activate(peer);
    const keypair = keypairs.take();
    if (keypair === undefined) {
      received.wipe();
      return 'handshake: keypair slots full';
    }
    const ownIndex = keypairs.newIndex(keypair);
    const ephemeral = this.#ephemerals.take();
    const { sender: peerIndex } = received;
    const response = createResponse(received, theirs, presharedKeyBytes(peer), ephemeral, ownIndex);
    if (typeof response === 'string') {
      keypairs.free(keypair);
      return response;
    }
    const { keys, message } = response;
    keypairs.install(peer, keypair, { keys, ownIndex, peerIndex, createdAt: now, rekeyAt: NEVER });
    peer.cookies.addMacs(message, now);
    answer(source, message);
    afterwards(() => {
      ways.heard(peer, source);
      this.#outcomes.tell(ANSWERED, peer);
      changed(peer);
      this.#ephemerals.prepare();
    });
    return ANSWERED;
  }
}

function staleness(peer: Peer, timestamp: Uint8Array, now: Millis): string | undefined {
  if (!isLater(timestamp, peer.latestTimestamp)) return REPLAYED;
  const since = now - peer.lastInitiationConsumed;
  return since < INITIATION_INTERVAL ? 'handshake: initiation flood' : undefined;
}
