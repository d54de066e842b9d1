/**
 * Which peers are active. Slots are few; when all are taken, the peer that has been silent longest goes idle:
 * it keeps its configuration and loses its keypairs, so that its next packet costs a handshake.
 */

import type { Endpoint } from '../../base/endpoint.ts';
import { readSockaddr, SOCKADDR_BYTES, sameEndpoint, sockaddr } from '../../base/endpoint.ts';
import type { Millis } from '../../base/time.ts';
import { NEVER } from '../../base/time.ts';
import type { Arena } from '../dataplane/arena.ts';
import { PEER, peerAt } from '../dataplane/arena.ts';
import type { Peer } from './peer.ts';
import type { PlaneLink } from './ports.ts';

/** The marks of an active peer (arena.ts); 0 for never. */
export interface Marks {
  readonly lastReceived: Millis;
  readonly lastDataReceived: Millis;
  readonly lastSent: Millis;
  readonly lastDataSent: Millis;
  readonly unansweredSend: Millis;
  readonly unansweredReceive: Millis;
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

export class ActivePeers {
  readonly #arena: Arena;
  readonly #link: PlaneLink;
  readonly #retire: (peer: Peer) => void;
  readonly #peers: (Peer | undefined)[];
  readonly #free: number[];

  /** Peers that lost their slot to another. */
  evictions = 0;

  /** @param retire called before a peer loses its slot: ends its handshake and timer */
  constructor(arena: Arena, link: PlaneLink, retire: (peer: Peer) => void) {
    const { activePeers } = arena.layout.sizes;
    this.#arena = arena;
    this.#link = link;
    this.#retire = retire;
    this.#peers = new Array<Peer | undefined>(activePeers).fill(undefined);
    this.#free = Array.from({ length: activePeers }, (_, i) => i).reverse();
  }

  get count(): number {
    return this.#peers.length - this.#free.length;
  }

  at(slot: number): Peer | undefined {
    return this.#peers[slot];
  }

  /** Gives the peer a slot, if it has none. */
  activate(peer: Peer): void {
    if (peer.slot >= 0) return;
    const slot = this.#free.pop() ?? this.#evict();
    this.#peers[slot] = peer;
    peer.slot = slot;
    this.setCheck(peer, NEVER);
    this.#trust(peer);
    this.#link.send({ type: 'activate', peer: peer.number, slot });
    if (peer.endpoint !== undefined) this.setEndpoint(peer, peer.endpoint);
  }

  deactivate(peer: Peer): void {
    const { slot } = peer;
    if (slot < 0) return;
    peer.endpoint = this.endpoint(peer);
    this.#retire(peer);
    this.#peers[slot] = undefined;
    peer.slot = -1;
    this.#free.push(slot);
    this.#link.send({ type: 'deactivate', peer: peer.number, slot });
  }

  /** Where the peer is now. */
  endpoint(peer: Peer): Endpoint | undefined {
    if (!this.#inArena(peer)) return peer.endpoint;
    const at = peerAt(this.#arena.layout, peer.slot) + PEER.endpoint;
    return readSockaddr(this.#arena.u8, at) ?? peer.endpoint;
  }

  setEndpoint(peer: Peer, endpoint: Endpoint): void {
    peer.endpoint = endpoint;
    if (peer.slot < 0) return;
    this.#link.send({ type: 'endpoint', slot: peer.slot, sockaddr: sockaddr(endpoint) });
  }

  /** In a mesh: the endpoint, or none, and until when it is relied on alone. */
  setWay(peer: Peer, endpoint: Endpoint | undefined, trustedUntil: Millis): void {
    const moved = !sameEndpoint(peer.endpoint, endpoint);
    peer.endpoint = endpoint;
    peer.trustedUntil = trustedUntil;
    if (peer.slot < 0) return;
    this.#trust(peer);
    if (!moved) return;
    const bytes = endpoint === undefined ? new Uint8Array(SOCKADDR_BYTES) : sockaddr(endpoint);
    this.#link.send({ type: 'endpoint', slot: peer.slot, sockaddr: bytes });
  }

  marks(peer: Peer): Marks {
    const { f64, layout } = this.#arena;
    const at = peerAt(layout, peer.slot);
    const known = this.#inArena(peer);
    const mark = (field: number): Millis => (known ? f64[(at + field) >> 3] : 0) as Millis;
    return {
      lastReceived: mark(PEER.lastReceived),
      lastDataReceived: mark(PEER.lastDataReceived),
      lastSent: mark(PEER.lastSent),
      lastDataSent: mark(PEER.lastDataSent),
      unansweredSend: mark(PEER.unansweredSend),
      unansweredReceive: mark(PEER.unansweredReceive),
      bytesSent: mark(PEER.bytesSent),
      bytesReceived: mark(PEER.bytesReceived),
    };
  }

  /** Tells the worker when the main thread looks at the peer's timers next. */
  setCheck(peer: Peer, checkAt: Millis): void {
    const { f64, u32, layout } = this.#arena;
    const at = peerAt(layout, peer.slot);
    f64[(at + PEER.checkAt) >> 3] = checkAt;
    const epoch = (at + PEER.checkEpoch) >> 2;
    // Never 0, which is what a new slot's worker field holds.
    u32[epoch] = ((u32[epoch] as number) % 0xffff_ffff) + 1;
  }

  #trust(peer: Peer): void {
    const { f64, layout } = this.#arena;
    f64[(peerAt(layout, peer.slot) + PEER.trustedUntil) >> 3] = peer.trustedUntil;
  }

  /** The worker has given the slot to this peer already; before, it shows another's. */
  #inArena(peer: Peer): boolean {
    if (peer.slot < 0) return false;
    const at = peerAt(this.#arena.layout, peer.slot);
    return this.#arena.u32[(at + PEER.number) >> 2] === peer.number;
  }

  #evict(): number {
    let oldest: Peer | undefined;
    let oldestUse = Number.POSITIVE_INFINITY;
    for (const peer of this.#peers) {
      if (peer === undefined) continue;
      const { lastReceived, lastSent } = this.marks(peer);
      const use = Math.max(
        lastReceived,
        lastSent,
        peer.handshake?.lastInitiationAt ?? 0,
        peer.lastKeypairAt,
      );
      if (use >= oldestUse) continue;
      oldest = peer;
      oldestUse = use;
    }
    if (oldest !== undefined) this.deactivate(oldest);
    this.evictions++;
    return this.#free.pop() as number;
  }
}
