/**
 * The worker's view of active peers: which slot a peer number has, the marks that timers are read from, and
 * the three keypairs of a slot.
 *
 *     next ----first packet under it----> current ----a newer current----> previous ----newer----> released
 *
 * A keypair of our own initiation becomes current at once; one that we answered waits as next, since only
 * the initiator knows that we have it (the paper, 5.4.6 and 6.3). What no slot names any longer is reported,
 * so that the main thread wipes it.
 */

import {
  KEEPALIVE_TIMEOUT,
  REJECT_AFTER_TIME,
  SILENCE_TIME,
} from '../../protocol/wireguard/constants.ts';
import type { Arena } from './arena.ts';
import { KEYPAIR, keypairAt, PEER, peerAt } from './arena.ts';
import type { Event } from './commands.ts';
import type { BulkAead } from './ports.ts';

export const REKEY_ASKED = 1;
export const LAST_MINUTE_ASKED = 2;

export class Slots {
  readonly #arena: Arena;
  readonly #aead: BulkAead;
  readonly #notify: (event: Event) => void;
  readonly #slotOf = new Map<number, number>();

  constructor(arena: Arena, aead: BulkAead, notify: (event: Event) => void) {
    this.#arena = arena;
    this.#aead = aead;
    this.#notify = notify;
  }

  /** The place of an active peer, or -1. */
  at(peer: number): number {
    const slot = this.#slotOf.get(peer);
    return slot === undefined ? -1 : peerAt(this.#arena.layout, slot);
  }

  peerOf(at: number): number {
    return this.#arena.u32[(at + PEER.number) >> 2] as number;
  }

  slotAt(at: number): number {
    return (at - this.#arena.layout.peersAt) / PEER.bytes;
  }

  /** The slot begins empty: only the fields of the main thread are kept. */
  activate(peer: number, slot: number): void {
    const { layout, u8, u32 } = this.#arena;
    const at = peerAt(layout, slot);
    u8.fill(0, at + PEER.endpoint, at + PEER.checkEpoch);
    u8.fill(0, at + PEER.lastReceived, at + PEER.checkAt);
    u8.fill(0, at + PEER.pathAskedAt, at + PEER.trustedUntil);
    u32[(at + PEER.number) >> 2] = peer;
    this.#slotOf.set(peer, slot);
  }

  /** Unnames the slot's keypairs and reports what it carried; the slot can be given to another peer. */
  deactivate(peer: number, slot: number): void {
    const { layout, f64 } = this.#arena;
    const at = peerAt(layout, slot);
    this.dropKeypairs(at);
    this.#slotOf.delete(peer);
    this.#notify({
      type: 'deactivated',
      peer,
      bytesSent: f64[(at + PEER.bytesSent) >> 3] as number,
      bytesReceived: f64[(at + PEER.bytesReceived) >> 3] as number,
    });
  }

  setEndpoint(at: number, sockaddr: Uint8Array): void {
    this.#arena.u8.set(sockaddr, at + PEER.endpoint);
  }

  /** The place of the keypair to send with at `now`, or -1. */
  sendingKeypair(at: number, now: number): number {
    const { layout, u32, f64 } = this.#arena;
    const named = u32[(at + PEER.current) >> 2] as number;
    if (named === 0) return -1;
    const keypair = keypairAt(layout, named - 1);
    const age = now - (f64[(keypair + KEYPAIR.createdAt) >> 3] as number);
    return age < REJECT_AFTER_TIME ? keypair : -1;
  }

  /**
   * Our own initiation was answered: the keypair is current. An unconfirmed one of theirs becomes previous and
   * the old current goes: where both ends began at once, each is then heard under its own keypair.
   */
  installCurrent(at: number, keypair: number): void {
    const { u32 } = this.#arena;
    const next = u32[(at + PEER.next) >> 2] as number;
    const current = u32[(at + PEER.current) >> 2] as number;
    const released = [u32[(at + PEER.previous) >> 2] as number, next === 0 ? 0 : current];
    u32[(at + PEER.previous) >> 2] = next === 0 ? current : next;
    u32[(at + PEER.current) >> 2] = keypair + 1;
    u32[(at + PEER.next) >> 2] = 0;
    this.#release(released);
  }

  /** We answered an initiation: it waits for its first packet. The previous one goes, as in the reference. */
  installNext(at: number, keypair: number): void {
    const { u32 } = this.#arena;
    const released = [
      u32[(at + PEER.next) >> 2] as number,
      u32[(at + PEER.previous) >> 2] as number,
    ];
    u32[(at + PEER.next) >> 2] = keypair + 1;
    u32[(at + PEER.previous) >> 2] = 0;
    this.#release(released);
  }

  /** The first packet under the waiting keypair came. */
  confirm(at: number): void {
    const { u32 } = this.#arena;
    const released = [u32[(at + PEER.previous) >> 2] as number];
    const keypair = (u32[(at + PEER.next) >> 2] as number) - 1;
    u32[(at + PEER.previous) >> 2] = u32[(at + PEER.current) >> 2] as number;
    u32[(at + PEER.current) >> 2] = keypair + 1;
    u32[(at + PEER.next) >> 2] = 0;
    this.#release(released);
    this.#notify({ type: 'confirmed', slot: this.slotAt(at), keypair });
  }

  hasKeypair(peer: number, now: number): boolean {
    const at = this.at(peer);
    return at >= 0 && this.sendingKeypair(at, now) >= 0;
  }

  dropKeypairs(at: number): void {
    const { u32 } = this.#arena;
    const places = [PEER.current, PEER.previous, PEER.next];
    const released = places.map((field) => u32[(at + field) >> 2] as number);
    for (const field of places) u32[(at + field) >> 2] = 0;
    this.#release(released);
  }

  /** Marks of `count` data packets, or of a keepalive, leaving now. */
  markSent(at: number, now: number, bytes: number, data: boolean): void {
    const { f64 } = this.#arena;
    const marks = at >> 3;
    f64[marks + (PEER.lastSent >> 3)] = now;
    f64[marks + (PEER.bytesSent >> 3)] = (f64[marks + (PEER.bytesSent >> 3)] as number) + bytes;
    const unanswered = f64[marks + (PEER.unansweredReceive >> 3)] as number;
    if (!data) {
      // Data that came while the keepalive was due keeps it due (need-another-keepalive of the reference).
      const later = (f64[marks + (PEER.lastDataReceived >> 3)] as number) > unanswered;
      const again = later && unanswered !== 0;
      f64[marks + (PEER.unansweredReceive >> 3)] = again ? now : 0;
      if (again) this.#due(at, now + KEEPALIVE_TIMEOUT);
      return;
    }
    f64[marks + (PEER.unansweredReceive >> 3)] = 0;
    f64[marks + (PEER.lastDataSent >> 3)] = now;
    if (f64[marks + (PEER.unansweredSend >> 3)] !== 0) return;
    f64[marks + (PEER.unansweredSend >> 3)] = now;
    this.#due(at, now + SILENCE_TIME);
  }

  /** Marks of one authenticated packet that came now. */
  markReceived(at: number, now: number, bytes: number, data: boolean): void {
    const { f64 } = this.#arena;
    const marks = at >> 3;
    f64[marks + (PEER.lastReceived >> 3)] = now;
    f64[marks + (PEER.bytesReceived >> 3)] =
      (f64[marks + (PEER.bytesReceived >> 3)] as number) + bytes;
    f64[marks + (PEER.unansweredSend >> 3)] = 0;
    if (!data) return;
    f64[marks + (PEER.lastDataReceived >> 3)] = now;
    if (f64[marks + (PEER.unansweredReceive >> 3)] !== 0) return;
    f64[marks + (PEER.unansweredReceive >> 3)] = now;
    this.#due(at, now + KEEPALIVE_TIMEOUT);
  }

  /** A handshake message of the peer's came: what was sent before is not unanswered any longer. */
  markAnswered(at: number): void {
    this.#arena.f64[(at + PEER.unansweredSend) >> 3] = 0;
  }

  /** Tells the main thread once that it looks too late. */
  #due(at: number, deadline: number): void {
    const { u32, f64 } = this.#arena;
    if (deadline >= (f64[(at + PEER.checkAt) >> 3] as number)) return;
    const epoch = u32[(at + PEER.checkEpoch) >> 2] as number;
    if (u32[(at + PEER.wokenEpoch) >> 2] === epoch) return;
    u32[(at + PEER.wokenEpoch) >> 2] = epoch;
    this.#notify({ type: 'wake', slot: this.slotAt(at) });
  }

  #release(named: readonly number[]): void {
    const keypairs = named.filter((name) => name !== 0).map((name) => name - 1);
    if (keypairs.length === 0) return;
    for (const keypair of keypairs) {
      const place = keypairAt(this.#arena.layout, keypair);
      this.#aead.forget(place + KEYPAIR.sendKey);
      this.#aead.forget(place + KEYPAIR.receiveKey);
    }
    this.#notify({ type: 'released', keypairs });
  }
}
