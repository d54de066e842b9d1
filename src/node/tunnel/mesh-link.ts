/**
 * The tunnel as a member of a mesh. The way to a peer is what paths have found out, never what a packet says,
 * and the relay link carries what has no direct way.
 *
 *     path-wanted, foreign datagrams, inner packets  ->  MeshPort (paths, relay link)
 *     setWay, relayed, inject, call, dropSessions    <-
 *
 *     endpoint, trusted     direct
 *     endpoint, doubted     direct and by the relay
 *     no endpoint           by the relay
 */

import type { Endpoint } from '../../base/endpoint.ts';
import { readSockaddr, sockaddr } from '../../base/endpoint.ts';
import type { NodePublic } from '../../base/keys.ts';
import type { Millis } from '../../base/time.ts';
import { TYPE } from '../../protocol/wireguard/messages.ts';
import type { Arena } from '../dataplane/arena.ts';
import type { Event } from '../dataplane/commands.ts';
import { RelayRing } from '../dataplane/relay-ring.ts';
import { INNER, peerSource, RELAYED, readPeerSource } from '../dataplane/sources.ts';
import type { ActivePeers } from './active.ts';
import type { Peer } from './peer.ts';
import type { PeerTable } from './peer-table.ts';
import type { MeshPort, PlaneLink } from './ports.ts';
import type { Ways } from './ways.ts';

/** What is known of the way to a peer. */
export interface Way {
  readonly direct: Endpoint | undefined;
  /** Past it the relay carries as well. */
  readonly trustedUntil: Millis;
}

/** When data last went each way; 0 for never. */
export interface Traffic {
  readonly sent: Millis;
  readonly received: Millis;
}

interface Parts {
  readonly arena: Arena;
  readonly link: PlaneLink;
  readonly peers: PeerTable;
  readonly active: ActivePeers;
  readonly port: MeshPort;
  /** By the sockets. */
  sendTo(sockaddr: Uint8Array, datagram: Uint8Array): void;
  handshake(datagram: Uint8Array, source: Uint8Array): void;
  /** An initiation now, also where one has just been sent. */
  call(peer: Peer): void;
  dropKeypairs(peer: Peer): void;
  reserveTimestamps(): void;
}

export class MeshLink implements Ways {
  readonly keysToldLater = true;
  readonly #parts: Parts;
  readonly #out: RelayRing;
  readonly #in: RelayRing;

  /** Datagrams that came by the relay link and found the ring full. */
  lost = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#out = new RelayRing(parts.arena, 'out');
    this.#in = new RelayRing(parts.arena, 'in');
  }

  /** The way that the peer's packets take until the next call. */
  setWay(publicKey: NodePublic, way: Way): void {
    const peer = this.#parts.peers.find(publicKey);
    if (peer !== undefined) this.#parts.active.setWay(peer, way.direct, way.trustedUntil);
  }

  traffic(publicKey: NodePublic): Traffic {
    const peer = this.#parts.peers.find(publicKey);
    if (peer === undefined || peer.slot < 0) return { sent: 0 as Millis, received: 0 as Millis };
    const { lastDataSent, lastDataReceived } = this.#parts.active.marks(peer);
    return { sent: lastDataSent, received: lastDataReceived };
  }

  /** The peer that the worker's report names by this number. */
  keyOf(number: number): NodePublic | undefined {
    return this.#parts.peers.numbered(number)?.publicKey;
  }

  /**
   * Calls those with whom data was exchanged at that time or later, for to them our silence was a failure: what they
   * have to say waits up to 5 s for their own next try.
   */
  call(since: Millis): void {
    for (const peer of this.#parts.peers.all()) {
      const { sent, received } = this.traffic(peer.publicKey);
      if (Math.max(sent, received) >= since) this.#parts.call(peer);
    }
  }

  /** The peer has begun anew: what it knew of us is gone. */
  dropSessions(publicKey: NodePublic): void {
    const peer = this.#parts.peers.find(publicKey);
    if (peer !== undefined) this.#parts.dropKeypairs(peer);
  }

  /**
   * A WireGuard datagram that a relay brought from this peer. `relayedEnd` must follow the last of several.
   *
   * @param datagram not kept
   */
  relayed(publicKey: NodePublic, datagram: Uint8Array): void {
    const peer = this.#parts.peers.find(publicKey);
    if (peer === undefined) return;
    if (datagram[0] !== TYPE.transport) {
      const source = peerSource({ family: RELAYED, peer: peer.number });
      this.#parts.handshake(datagram.slice(), source);
      return;
    }
    const at = this.#in.reserve(datagram.length);
    if (at < 0) {
      this.lost++;
      return;
    }
    this.#parts.arena.u8.set(datagram, at);
    this.#in.commit(peer.number, datagram.length);
  }

  relayedEnd(): void {
    if (this.#in.mustTell()) this.#parts.link.send({ type: 'relayed' });
  }

  /** Sends an inner packet of our own to the peer. */
  inject(publicKey: NodePublic, packet: Uint8Array): void {
    const peer = this.#parts.peers.find(publicKey);
    if (peer !== undefined) this.#parts.link.send({ type: 'inject', peer: peer.number, packet });
  }

  /** The first handshake is to wait for no disk. */
  reserveTimestamps(): void {
    this.#parts.reserveTimestamps();
  }

  sendUdp(endpoint: Endpoint, datagram: Uint8Array): void {
    this.#parts.sendTo(sockaddr(endpoint), datagram);
  }

  onEvent(event: Extract<Event, { type: 'path-wanted' | 'relay' }>): void {
    const { active, port, peers, arena } = this.#parts;
    if (event.type === 'path-wanted') {
      const peer = active.at(event.slot);
      if (peer !== undefined) port.wanted(peer.publicKey);
      return;
    }
    this.#out.read((number, at, lengthBytes) => {
      const peer = peers.numbered(number);
      if (peer !== undefined) port.relay(peer.publicKey, arena.u8.subarray(at, at + lengthBytes));
    });
    port.relayEnd();
  }

  /** Whether a datagram of the ring is no handshake message; then it has been taken. */
  takes(datagram: Uint8Array, source: Uint8Array): boolean {
    const { port, peers } = this.#parts;
    const inner = readPeerSource(source);
    if (inner?.family === INNER) {
      const peer = peers.numbered(inner.peer);
      if (peer !== undefined) port.inner(peer.publicKey, datagram);
      return true;
    }
    const endpoint = readSockaddr(source);
    return endpoint !== undefined && port.foreign(datagram, endpoint);
  }

  canReach(): boolean {
    return true;
  }

  send(peer: Peer, datagram: Uint8Array, again: boolean): boolean {
    return this.#parts.port.send(peer.publicKey, datagram, again);
  }

  heard(peer: Peer, source: Uint8Array): void {
    const endpoint = readSockaddr(source);
    if (endpoint !== undefined) this.#parts.port.heard(peer.publicKey, endpoint);
  }

  answer(source: Uint8Array, datagram: Uint8Array): void {
    const { port, peers } = this.#parts;
    const relayed = readPeerSource(source);
    if (relayed === undefined) {
      this.#parts.sendTo(source, datagram);
      return;
    }
    const peer = peers.numbered(relayed.peer);
    if (peer === undefined) return;
    port.relay(peer.publicKey, datagram);
    port.relayEnd();
  }
}
