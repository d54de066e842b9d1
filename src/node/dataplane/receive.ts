/**
 * In: UDP -> open -> replay window -> delivery (deliver.ts).
 *
 * The kernel hands over up to 64 KiB of datagrams of one flow, joined (UDP GRO). They are opened together, and taken
 * one after another; neighbours that belong together leave as one super-packet. Plaintexts stay in place until that is
 * written, so nothing may overwrite one before `startBatch`.
 *
 * What is no transport data goes to the main thread. What cannot be authenticated is a counter: it gets no
 * answer, moves no endpoint and touches no mark.
 *
 * In a mesh a datagram may also have come by a relay (`relayed`); disco and STUN share the sockets with us and
 * go to the main thread.
 */

import { SOCKADDR_BYTES } from '../../base/endpoint.ts';
import { LAST_MINUTE_TIME, REJECT_AFTER_TIME } from '../../protocol/wireguard/constants.ts';
import {
  COOKIE_REPLY_BYTES,
  INITIATION_BYTES,
  RESPONSE_BYTES,
  TRANSPORT_LEAST_BYTES,
  TYPE,
} from '../../protocol/wireguard/messages.ts';
import { KEYPAIR, keypairAt, PEER, peerAt, RX_IN_BYTES } from './arena.ts';
import { isForeign } from './classify.ts';
import type { Drop } from './commands.ts';
import { Deliver } from './deliver.ts';
import type { UdpPort } from './ports.ts';
import { EMPTY, OPENED_AT_ONCE } from './ports.ts';
import { RelayRing } from './relay-ring.ts';
import { RingWriter } from './ring.ts';
import type { Shared } from './shared.ts';
import { LAST_MINUTE_ASKED } from './slots.ts';

/** One wake receives at most so many times, then lets the other direction run. */
const RECEIVES_PER_WAKE = 16;

const SOCKADDR_WORDS = SOCKADDR_BYTES / 4;
/** By type. */
const HANDSHAKE_BYTES: readonly number[] = [
  0,
  INITIATION_BYTES,
  RESPONSE_BYTES,
  COOKIE_REPLY_BYTES,
];

/** What the worker does about commands that may already be under way to it. */
export type CatchUp = () => void;

export class Receive {
  readonly #shared: Shared;
  readonly #catchUp: CatchUp;
  readonly #confirmed: (peer: number, now: number) => void;
  readonly #ring: RingWriter;
  readonly #relayIn: RelayRing;
  readonly #deliver: Deliver;
  readonly #mask: number;
  #now = 0;
  #sourceAt = 0;
  #ecn = 0;
  /** Those that are being opened, by number. */
  readonly #slots = new Int32Array(OPENED_AT_ONCE);
  readonly #lengths = new Int32Array(OPENED_AT_ONCE);
  readonly #texts = new Int32Array(OPENED_AT_ONCE);
  #pending = 0;
  /** Datagrams stand in their places: what came by the relay meanwhile is owed, since it would take them. */
  #busy = false;
  #owed = false;

  packets = 0;

  /**
   * @param catchUp handles commands that were sent but not yet read: a peer may use a keypair sooner than its
   *   announcement is read here
   * @param confirmed a waiting keypair has become current, so waiting packets can go
   */
  constructor(shared: Shared, catchUp: CatchUp, confirmed: (peer: number, now: number) => void) {
    this.#shared = shared;
    this.#catchUp = catchUp;
    this.#confirmed = confirmed;
    this.#ring = new RingWriter(shared.arena, () => shared.notify({ type: 'datagrams' }));
    this.#relayIn = new RelayRing(shared.arena, 'in');
    this.#mask = shared.arena.layout.keypairs - 1;
    this.#deliver = new Deliver(shared, this.#ring);
  }

  /** Takes what the socket has, up to one wake's share. */
  drain(udp: UdpPort, now: number): void {
    this.#busy = true;
    this.#drain(udp, now);
    this.#busy = false;
    if (this.#owed) this.relayed(now);
  }

  #drain(udp: UdpPort, now: number): void {
    const { arena, aead, drops } = this.#shared;
    const { rxIn } = arena.layout;
    this.#now = now;
    for (let receives = 0; receives < RECEIVES_PER_WAKE; receives++) {
      const bytes = udp.receive(rxIn, RX_IN_BYTES);
      // An error belongs to an earlier send (ICMP); the next call brings what came in.
      if (bytes < 0) {
        if (bytes === EMPTY) return;
        continue;
      }
      const { segmentBytes, sourceAt, ecn } = udp.received;
      this.#sourceAt = sourceAt;
      this.#ecn = ecn;
      if (bytes === 0) drops.add('in: malformed');
      aead.startBatch();
      if ((segmentBytes & 3) === 0 || segmentBytes >= bytes) this.#run(rxIn, bytes, segmentBytes);
      else this.#unaligned(rxIn, bytes, segmentBytes);
      this.#finish();
    }
  }

  /** Takes what came by the relay link. */
  relayed(now: number): void {
    this.#owed = true;
    if (this.#busy) return;
    this.#busy = true;
    while (this.#owed) {
      this.#owed = false;
      this.#relayed(now);
    }
    this.#busy = false;
  }

  #relayed(now: number): void {
    const { arena, aead } = this.#shared;
    const { rxIn, sourceAt } = arena.layout;
    this.#now = now;
    this.#sourceAt = sourceAt;
    this.#ecn = 0;
    let to = rxIn;
    aead.startBatch();
    this.#relayIn.read((_peer, at, length) => {
      if (to + length > rxIn + RX_IN_BYTES) {
        this.#finish();
        aead.startBatch();
        to = rxIn;
      }
      arena.u8.copyWithin(to, at, at + length);
      this.#datagram(to, length);
      to = (to + length + 15) & ~15;
    });
    this.#finish();
  }

  #run(at: number, bytes: number, segmentBytes: number): void {
    for (let from = 0; from < bytes; from += segmentBytes)
      this.#datagram(at + from, Math.min(segmentBytes, bytes - from));
  }

  /** Datagrams that do not start at multiples of 4 are moved, and written one by one. */
  #unaligned(at: number, bytes: number, segmentBytes: number): void {
    const { arena } = this.#shared;
    const to = arena.layout.rxAligned;
    for (let from = 0; from < bytes; from += segmentBytes) {
      const length = Math.min(segmentBytes, bytes - from);
      arena.u8.copyWithin(to, at + from, at + from + length);
      this.#datagram(to, length);
      this.#finish();
    }
  }

  #datagram(slot: number, length: number): void {
    const type = this.#shared.arena.u32[slot >> 2] as number;
    const drop =
      type === TYPE.transport && length >= TRANSPORT_LEAST_BYTES
        ? this.#open(slot, length)
        : this.#handOver(type, slot, length);
    if (drop !== null) this.#shared.drops.add(drop);
  }

  #handOver(type: number, slot: number, length: number): Drop | null {
    const { arena, relay } = this.#shared;
    const known =
      length === HANDSHAKE_BYTES[type] || (relay !== null && isForeign(arena.u32, slot, length));
    if (length < 4 || !known) return 'in: malformed';
    return this.#ring.write(slot, length, this.#sourceAt) ? null : 'in: main thread busy';
  }

  /** Has a datagram opened; what becomes of it is `#opened`'s. */
  #open(slot: number, length: number): Drop | null {
    const { arena, aead } = this.#shared;
    const { u32, f64 } = arena;
    const index = u32[(slot + 4) >> 2] as number;
    const keypair = keypairAt(arena.layout, index & this.#mask);
    if (this.#named(keypair, index) < 0) {
      this.#settle();
      this.#catchUp();
      if (this.#named(keypair, index) < 0) return 'in: unknown index';
    }
    const age = this.#now - (f64[(keypair + KEYPAIR.createdAt) >> 3] as number);
    if (age >= REJECT_AFTER_TIME) return 'in: keypair expired';
    if (this.#pending === OPENED_AT_ONCE) this.#settle();
    const low = u32[(slot + 8) >> 2] as number;
    const high = u32[(slot + 12) >> 2] as number;
    const room = length - TRANSPORT_LEAST_BYTES;
    const text = aead.open(keypair + KEYPAIR.receiveKey, slot, room, low, high);
    if (text < 0) return 'in: forged';
    const i = this.#pending++;
    this.#slots[i] = slot;
    this.#lengths[i] = length;
    this.#texts[i] = text;
    return null;
  }

  /** Takes what was opened, in its order. */
  #settle(): void {
    const pending = this.#pending;
    if (pending === 0) return;
    const { aead, drops } = this.#shared;
    aead.settle();
    this.#pending = 0;
    for (let i = 0; i < pending; i++) {
      const slot = this.#slots[i] as number;
      const length = this.#lengths[i] as number;
      const text = this.#texts[i] as number;
      const drop = aead.forged(i) ? 'in: forged' : this.#opened(slot, length, text);
      if (drop !== null) drops.add(drop);
    }
  }

  #opened(slot: number, length: number, text: number): Drop | null {
    const { arena, kernels, slots } = this.#shared;
    const { u32, f64 } = arena;
    const index = u32[(slot + 4) >> 2] as number;
    const keypair = keypairAt(arena.layout, index & this.#mask);
    // One that came before it may have put another keypair in this one's place.
    const at = this.#named(keypair, index);
    if (at < 0) return 'in: unknown index';
    const low = u32[(slot + 8) >> 2] as number;
    const high = u32[(slot + 12) >> 2] as number;
    if (!kernels.replayAccept(keypair + KEYPAIR.window, low, high)) return 'in: replayed';

    this.packets++;
    if (this.#shared.relay === null) this.#roam(at);
    const room = length - TRANSPORT_LEAST_BYTES;
    slots.markReceived(at, this.#now, length, room > 0);
    const age = this.#now - (f64[(keypair + KEYPAIR.createdAt) >> 3] as number);
    this.#keypairUsed(at, keypair, age);
    return room > 0 ? this.#deliver.packet(at, text, room, this.#now, this.#ecn) : null;
  }

  /** Takes what was opened, and writes what of it is joined. */
  #finish(): void {
    this.#settle();
    this.#deliver.write();
  }

  /** The peer slot that names this keypair, or -1. */
  #named(keypair: number, index: number): number {
    const { layout, u32 } = this.#shared.arena;
    if (u32[(keypair + KEYPAIR.ownIndex) >> 2] !== index) return -1;
    const at = peerAt(layout, u32[(keypair + KEYPAIR.peerSlot) >> 2] as number);
    const name = (keypair - layout.keypairsAt) / KEYPAIR.bytes + 1;
    const named =
      u32[(at + PEER.current) >> 2] === name ||
      u32[(at + PEER.next) >> 2] === name ||
      u32[(at + PEER.previous) >> 2] === name;
    return named ? at : -1;
  }

  /** The peer is where its last authenticated packet came from (the paper, 2.1). */
  #roam(at: number): void {
    const { u32, u8 } = this.#shared.arena;
    const endpoint = (at + PEER.endpoint) >> 2;
    const source = this.#sourceAt >> 2;
    for (let i = 0; i < SOCKADDR_WORDS; i++) {
      if (u32[endpoint + i] === u32[source + i]) continue;
      u8.copyWithin(at + PEER.endpoint, this.#sourceAt, this.#sourceAt + SOCKADDR_BYTES);
      return;
    }
  }

  #keypairUsed(at: number, keypair: number, age: number): void {
    const { arena, slots, notify } = this.#shared;
    const { layout, u32, f64 } = arena;
    const name = (keypair - layout.keypairsAt) / KEYPAIR.bytes + 1;
    if (u32[(at + PEER.next) >> 2] === name) {
      slots.confirm(at);
      this.#confirmed(u32[(at + PEER.number) >> 2] as number, this.#now);
      return;
    }
    if (
      age < LAST_MINUTE_TIME ||
      f64[(keypair + KEYPAIR.rekeyAt) >> 3] === Number.POSITIVE_INFINITY
    )
      return;
    const asked = u32[(keypair + KEYPAIR.asked) >> 2] as number;
    if ((asked & LAST_MINUTE_ASKED) !== 0) return;
    u32[(keypair + KEYPAIR.asked) >> 2] = asked | LAST_MINUTE_ASKED;
    notify({ type: 'rekey', slot: slots.slotAt(at) });
  }
}
