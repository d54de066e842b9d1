/**
 * Our own handshakes.
 *
 *     idle --initiate--> waiting for the response --response--> current keypair
 *                          |  ^                |
 *                          |  +-- retry, 5 s --+          0.5 s with a key that is new to our peers, and where
 *                          |                              the first took a way that may lead one way only
 *                          +-- given up after 90 s, or abandoned
 *
 * Each retry is a new initiation under a new index; a late response to the one before names nothing.
 *
 * Time stamps must never go back, also over a crash with a clock that does: a bound is on the disk before any
 * stamp below it is sent. The initiation that needs a new bound waits for the write; where the disk refuses,
 * it is sent all the same, since a tunnel now is worth more than one after a restart with a bad clock.
 */

import type { Env } from '../../base/env.ts';
import type { Millis } from '../../base/time.ts';
import { after, millis } from '../../base/time.ts';
import { MAX_JITTER, REKEY_AFTER_TIME } from '../../protocol/wireguard/constants.ts';
import { readResponse } from '../../protocol/wireguard/messages.ts';
import { consumeResponse, createInitiation } from '../../protocol/wireguard/noise.ts';
import { Tai64nClock } from '../../protocol/wireguard/tai64n.ts';
import type { EphemeralKeys } from './ephemeral-keys.ts';
import type { HandshakePorts, Outcomes } from './handshakes.ts';
import type { Peer } from './peer.ts';
import { presharedKeyBytes } from './peer.ts';

/** A response is not lost for long where a network lets us through and no answer back: the retry goes elsewhere. */
const RETRY_UNTRIED: Millis = millis(500);

export class Initiator {
  readonly #env: Env;
  readonly #ports: HandshakePorts;
  readonly #outcomes: Outcomes;
  readonly #ephemerals: EphemeralKeys;
  readonly #retryPause: () => Millis;
  readonly #timestamps: Tai64nClock;
  /** Handshakes under way, by own index. */
  readonly #pending = new Map<number, Peer>();
  /** Peers whose initiation waits for a stored bound, and when their handshake began. */
  readonly #unstamped = new Map<Peer, Millis>();

  constructor(
    env: Env,
    ports: HandshakePorts,
    outcomes: Outcomes,
    ephemerals: EphemeralKeys,
    retryPause: () => Millis,
  ) {
    this.#env = env;
    this.#ephemerals = ephemerals;
    this.#retryPause = retryPause;
    this.#ports = ports;
    this.#outcomes = outcomes;
    this.#timestamps = new Tai64nClock(ports.timestamps.bound);
  }

  /** The peer that our handshake of this index is with. */
  waiting(index: number): Peer | undefined {
    return this.#pending.get(index);
  }

  /** Stores a bound before the first initiation needs it, which then waits for no disk. */
  reserve(): void {
    const bound = this.#timestamps.reserve(this.#env.wall());
    if (bound === undefined || this.#unstamped.size > 0) return;
    this.#ports.timestamps.extend(bound, (stored) => {
      if (stored) this.#timestamps.stored(bound);
    });
  }

  initiate(peer: Peer): boolean {
    if (peer.handshake !== null) return true;
    return this.#start(peer, this.#env.now());
  }

  retry(peer: Peer): void {
    if (peer.handshake === null) return;
    this.#outcomes.count('initiation retried');
    if (!this.#start(peer, peer.handshake.startedAt)) this.abandon(peer);
  }

  abandon(peer: Peer): void {
    this.#unstamped.delete(peer);
    const pending = peer.handshake;
    if (pending === null) return;
    peer.handshake = null;
    pending.initiation.wipe();
    this.#pending.delete(pending.ownIndex);
    this.#ports.keypairs.free(pending.keypair);
  }

  /** A response came; its outcome. */
  finish(datagram: Uint8Array, source: Uint8Array): string {
    const { keypairs, ways, changed, afterwards } = this.#ports;
    const message = readResponse(datagram);
    if (typeof message === 'string') return message;
    const peer = this.#pending.get(message.receiver);
    const pending = peer?.handshake;
    if (peer === undefined || pending == null) return 'handshake: unknown index';
    const ended = consumeResponse(pending.initiation, datagram, presharedKeyBytes(peer));
    if (typeof ended === 'string') return ended;
    const now = this.#env.now();
    const { keypair, ownIndex } = pending;
    peer.handshake = null;
    peer.lastHandshake = this.#env.wall();
    this.#pending.delete(ownIndex);
    ways.heard(peer, source);
    const rekeyAt = after(now, REKEY_AFTER_TIME);
    const { keys, sender: peerIndex } = ended;
    keypairs.install(peer, keypair, { keys, ownIndex, peerIndex, createdAt: now, rekeyAt });
    afterwards(() => {
      this.#outcomes.tell('our initiation was answered', peer);
      changed(peer);
    });
    return 'initiation was answered';
  }

  /** Sends an initiation, now or when its bound is stored; false where there is no key, endpoint or slot. */
  #start(peer: Peer, startedAt: Millis): boolean {
    if (peer.peering === null || !this.#ports.ways.canReach(peer)) return false;
    const bound = this.#timestamps.reserve(this.#env.wall());
    if (bound === undefined) return this.#send(peer, startedAt);
    const storing = this.#unstamped.size > 0;
    this.#unstamped.set(peer, startedAt);
    if (storing) return true;
    this.#ports.timestamps.extend(bound, (stored) => {
      if (stored) this.#timestamps.stored(bound);
      const waiting = [...this.#unstamped];
      this.#unstamped.clear();
      for (const [waiter, since] of waiting) this.#send(waiter, since);
    });
    return true;
  }

  #send(peer: Peer, startedAt: Millis): boolean {
    const { keypairs, active, ways, changed } = this.#ports;
    const now = this.#env.now();
    if (peer.peering === null || !ways.canReach(peer)) return false;
    active.activate(peer);
    const keypair = peer.handshake?.keypair ?? keypairs.take();
    if (keypair === undefined) return false;
    const ownIndex = keypairs.newIndex(keypair);
    const timestamp = this.#timestamps.next(this.#env.wall());
    const ephemeral = this.#ephemerals.take();
    const initiation = createInitiation(peer.peering, ephemeral, ownIndex, timestamp);
    if (initiation === undefined) return false;
    const again = peer.handshake !== null;
    if (peer.handshake !== null) {
      peer.handshake.initiation.wipe();
      this.#pending.delete(peer.handshake.ownIndex);
    }
    peer.jitter = this.#jitter();
    const retryAt = after(now, after(this.#retryPause(), peer.jitter));
    peer.handshake = { initiation, keypair, ownIndex, startedAt, lastInitiationAt: now, retryAt };
    this.#pending.set(ownIndex, peer);
    peer.cookies.addMacs(initiation.message, now);
    const untried = ways.send(peer, initiation.message, again);
    if (untried && peer.handshake?.initiation === initiation)
      peer.handshake = { ...peer.handshake, retryAt: after(now, RETRY_UNTRIED) };
    this.#outcomes.count('initiation sent');
    this.#outcomes.tell(again ? 'initiation sent again' : 'initiation sent', peer);
    changed(peer);
    this.#ephemerals.prepare();
    return true;
  }

  /** Less than MAX_JITTER, so that two ends do not keep meeting. */
  #jitter(): Millis {
    const [a = 0, b = 0] = this.#env.random(2);
    return millis(((a << 8) | b) % MAX_JITTER);
  }
}
