/**
 * The main thread's side of the keypair slots: who may write one, under which index, and when it is wiped.
 *
 *     free --take--> taken (a handshake is under way) --install--> named by the worker
 *      ^                 |                                                            |
 *      +------ free <----+------------------------ `released` event ------------------+
 *
 * A taken slot has an index of its own, by which the peer's messages name it (protocol/wireguard/index-table.ts).
 */

import { BugError } from '../../base/errors.ts';
import type { Millis } from '../../base/time.ts';
import { NEVER } from '../../base/time.ts';
import { IndexTable } from '../../protocol/wireguard/index-table.ts';
import type { SessionKeys } from '../../protocol/wireguard/noise.ts';
import type { Arena } from '../dataplane/arena.ts';
import { KEYPAIR, keypairAt } from '../dataplane/arena.ts';
import type { Peer } from './peer.ts';
import type { PlaneLink } from './ports.ts';

export interface NewKeypair {
  readonly keys: SessionKeys;
  readonly ownIndex: number;
  readonly peerIndex: number;
  readonly createdAt: Millis;
  /** When the initiator asks for a new one; NEVER for a responder. */
  readonly rekeyAt: Millis;
}

export class Keypairs {
  readonly #arena: Arena;
  readonly #link: PlaneLink;
  readonly #random: (lengthBytes: number) => Uint8Array;
  readonly #free: number[];
  readonly #indices: IndexTable;

  constructor(arena: Arena, link: PlaneLink, random: (lengthBytes: number) => Uint8Array) {
    this.#arena = arena;
    this.#link = link;
    this.#random = random;
    this.#indices = new IndexTable(arena.layout.keypairs);
    this.#free = Array.from({ length: arena.layout.keypairs }, (_, i) => i).reverse();
  }

  /** A free slot, or undefined where every one is in use. */
  take(): number | undefined {
    return this.#free.pop();
  }

  /** A new index for a taken slot; one that it had names nothing any longer. */
  newIndex(slot: number): number {
    this.#indices.release(slot);
    return this.#indices.allot(slot, this.#random(4));
  }

  /** The peer slot for which the keypair of this index was written, or -1. */
  peerSlot(index: number): number {
    const slot = this.#indices.find(index);
    if (slot < 0) return -1;
    const { layout, u32 } = this.#arena;
    return u32[(keypairAt(layout, slot) + KEYPAIR.peerSlot) >> 2] as number;
  }

  /** Fills a taken slot and names it to the worker. The keys are copied, and wiped. */
  install(peer: Peer, slot: number, keypair: NewKeypair): void {
    const { layout, u8, u32, f64 } = this.#arena;
    const { keys, ownIndex, peerIndex, createdAt, rekeyAt } = keypair;
    if (this.#indices.indexOf(slot) !== ownIndex)
      throw new BugError('an index of another keypair slot');
    const at = keypairAt(layout, slot);
    u8.fill(0, at, at + KEYPAIR.bytes);
    u8.set(keys.send, at + KEYPAIR.sendKey);
    u8.set(keys.receive, at + KEYPAIR.receiveKey);
    keys.send.fill(0);
    keys.receive.fill(0);
    u32[(at + KEYPAIR.ownIndex) >> 2] = ownIndex;
    u32[(at + KEYPAIR.peerIndex) >> 2] = peerIndex;
    u32[(at + KEYPAIR.peerSlot) >> 2] = peer.slot;
    f64[(at + KEYPAIR.createdAt) >> 3] = createdAt;
    f64[(at + KEYPAIR.rekeyAt) >> 3] = rekeyAt;
    peer.lastKeypairAt = createdAt;
    const as = rekeyAt === NEVER ? 'next' : 'current';
    this.#link.send({ type: 'keypair', slot: peer.slot, keypair: slot, as });
  }

  /** The worker is told now of what was installed, before a peer that uses it is answered. */
  announce(): void {
    this.#link.flush();
  }

  /** Wipes a slot that no peer slot names. */
  free(slot: number): void {
    const { layout, u8 } = this.#arena;
    const at = keypairAt(layout, slot);
    u8.fill(0, at, at + KEYPAIR.bytes);
    this.#indices.release(slot);
    this.#free.push(slot);
  }
}
