/**
 * Where a peer is asked, and what a message that has proved itself says of where it is.
 *
 *     plain WireGuard   the peer is where it was last heard (the paper, 2.1)
 *     a mesh            paths decide (mesh-link.ts); to be heard makes a way likely, and proves none
 */

import { readSockaddr, sockaddr } from '../../base/endpoint.ts';
import type { ActivePeers } from './active.ts';
import type { Peer } from './peer.ts';

/** Sends a datagram by the sockets, as far as there are any. @param sockaddr 28 bytes */
export type SendTo = (sockaddr: Uint8Array, datagram: Uint8Array) => void;

export interface Ways {
  /** Peers hear of a new key of ours from a server, a moment after we have it. */
  readonly keysToldLater: boolean;
  /** False where there is nowhere to send to. */
  canReach(peer: Peer): boolean;
  /**
   * Sends an initiation of ours.
   *
   * @param again not the first of its handshake
   * @returns whether it took untried ways, by which it may arrive and its response not
   */
  send(peer: Peer, datagram: Uint8Array, again: boolean): boolean;
  /** @param source 28 bytes, from where a message of this peer came that has proved itself */
  heard(peer: Peer, source: Uint8Array): void;
  /** Sends an answer to where its question came from. */
  answer(source: Uint8Array, datagram: Uint8Array): void;
}

export class RoamingWays implements Ways {
  readonly keysToldLater = false;
  readonly #active: ActivePeers;
  readonly #send: SendTo;

  constructor(active: ActivePeers, send: SendTo) {
    this.#active = active;
    this.#send = send;
  }

  canReach(peer: Peer): boolean {
    return this.#active.endpoint(peer) !== undefined;
  }

  send(peer: Peer, datagram: Uint8Array): boolean {
    const endpoint = this.#active.endpoint(peer);
    if (endpoint !== undefined) this.#send(sockaddr(endpoint), datagram);
    return false;
  }

  heard(peer: Peer, source: Uint8Array): void {
    const endpoint = readSockaddr(source);
    if (endpoint !== undefined) this.#active.setEndpoint(peer, endpoint);
  }

  answer(source: Uint8Array, datagram: Uint8Array): void {
    this.#send(source, datagram);
  }
}
