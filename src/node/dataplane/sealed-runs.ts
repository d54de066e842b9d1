/**
 * What leaves: datagrams of equal size to one peer are written end to end, sealed, and sent as one run, which the
 * kernel splits (UDP GSO). The run that is being written:
 *
 *     txOut   | header 16 | sealed packet | tag 16 | header 16 | sealed packet | tag 16 | ...
 *             ^ runAt       <--- segment --------->              runAt + runBytes ^
 *
 * A run ends when the peer, the ECN bits or the size change (a shorter datagram is its last), and where the
 * kernel's bounds are reached. All runs are flushed before the memory is used again. In a mesh a run to a peer
 * whose endpoint is not trusted is copied to the relay link's ring, and goes to the endpoint too if there is one.
 */

import {
  TRANSPORT_HEADER_BYTES,
  TRANSPORT_LEAST_BYTES,
  TYPE,
} from '../../protocol/wireguard/messages.ts';
import { KEYPAIR, PEER, TX_OUT_BYTES } from './arena.ts';
import { sealedBytes } from './padding.ts';
import type { RelayRing } from './relay-ring.ts';
import type { Shared } from './shared.ts';
import { REKEY_ASKED } from './slots.ts';

/** What one UDP GSO send may carry (udp(7); the kernel's UDP_MAX_SEGMENTS). */
const RUN_MOST_BYTES = 65_507;
const RUN_MOST_DATAGRAMS = 64;

/** Counters are exact float64 up to here; 2^60 of the paper is as far out of reach. */
const REKEY_AFTER_MESSAGES = 2 ** 52;
const REJECT_AFTER_MESSAGES = 2 ** 53 - 2 ** 14;

/** How often the main thread is asked for a path while a peer has none that is trusted. */
const PATH_ASK_INTERVAL = 1000;

export class SealedRuns {
  readonly #shared: Shared;
  #runAt: number;
  #runBytes = 0;
  #runSegment = 0;
  #runDatagrams = 0;
  #runEcn = 0;
  #runPeer = 0;
  #runKeypair = 0;

  #now = 0;

  /** Datagrams sealed so far. */
  packets = 0;

  constructor(shared: Shared) {
    this.#shared = shared;
    this.#runAt = shared.arena.layout.txOut;
  }

  start(now: number): void {
    this.#now = now;
  }

  /** Hands all runs to the kernel. */
  flush(): void {
    const { udp4, udp6, arena } = this.#shared;
    this.#endRun();
    udp4?.flush();
    udp6?.flush();
    this.#runAt = arena.layout.txOut;
  }

  /** Chooses the keypair for the peer's next datagrams; false where there is none, or it is worn out. */
  begin(at: number): boolean {
    const { slots, arena, notify } = this.#shared;
    const keypair = slots.sendingKeypair(at, this.#now);
    if (keypair < 0) return false;
    const { f64, u32 } = arena;
    const counter = f64[(keypair + KEYPAIR.counter) >> 3] as number;
    if (counter >= REJECT_AFTER_MESSAGES) return false;
    const due =
      this.#now >= (f64[(keypair + KEYPAIR.rekeyAt) >> 3] as number) ||
      counter >= REKEY_AFTER_MESSAGES;
    const asked = u32[(keypair + KEYPAIR.asked) >> 2] as number;
    if (due && (asked & REKEY_ASKED) === 0) {
      u32[(keypair + KEYPAIR.asked) >> 2] = asked | REKEY_ASKED;
      notify({ type: 'rekey', slot: slots.slotAt(at) });
    }
    if (at !== this.#runPeer || keypair !== this.#runKeypair) {
      this.#endRun();
      this.#runPeer = at;
      this.#runKeypair = keypair;
    }
    return true;
  }

  /** Where the next datagram, for a packet of `length` bytes to the peer chosen last, goes. */
  reserve(length: number, ecn: number): number {
    const end = this.#shared.arena.layout.txOut + TX_OUT_BYTES;
    const datagram = sealedBytes(length, this.#shared.mtuBytes);
    const joins =
      this.#runDatagrams > 0 &&
      datagram <= this.#runSegment &&
      ecn === this.#runEcn &&
      this.#runDatagrams < RUN_MOST_DATAGRAMS &&
      this.#runBytes + datagram <= RUN_MOST_BYTES &&
      this.#runAt + this.#runBytes + datagram <= end;
    if (joins) return this.#runAt + this.#runBytes;
    this.#endRun();
    if (this.#runAt + datagram > end) this.flush();
    this.#runSegment = datagram;
    this.#runEcn = ecn;
    return this.#runAt;
  }

  /** Pads, seals and heads the packet of `length` bytes standing behind `slot`; the datagram's bytes. */
  commit(slot: number, length: number): number {
    const { arena, aead, mtuBytes } = this.#shared;
    const { u8, u32, f64 } = arena;
    const keypair = this.#runKeypair;
    const datagram = sealedBytes(length, mtuBytes);
    const padded = datagram - TRANSPORT_LEAST_BYTES;
    const text = slot + TRANSPORT_HEADER_BYTES;
    for (let i = text + length, end = text + padded; i < end; i++) u8[i] = 0;
    const counter = f64[(keypair + KEYPAIR.counter) >> 3] as number;
    const low = counter >>> 0;
    const high = (counter / 4_294_967_296) >>> 0;
    f64[(keypair + KEYPAIR.counter) >> 3] = counter + 1;
    aead.seal(keypair + KEYPAIR.sendKey, slot, padded, low, high);
    const header = slot >> 2;
    u32[header] = TYPE.transport;
    u32[header + 1] = u32[(keypair + KEYPAIR.peerIndex) >> 2] as number;
    u32[header + 2] = low;
    u32[header + 3] = high;
    this.packets++;
    this.#runBytes += datagram;
    this.#runDatagrams++;
    // A shorter datagram is the last of its run, and the next slot must start at a multiple of 4.
    if (datagram < this.#runSegment || (datagram & 3) !== 0) this.#endRun();
    return datagram;
  }

  #endRun(): void {
    if (this.#runDatagrams === 0) return;
    const { udp4, udp6, arena, aead, drops, relay } = this.#shared;
    aead.settle();
    const endpoint = this.#runPeer + PEER.endpoint;
    const udp = arena.u16[endpoint >> 1] === 2 ? udp4 : udp6;
    const nowhere = arena.u16[endpoint >> 1] === 0 || udp === null;
    const doubted =
      relay !== null &&
      (nowhere || (arena.f64[(this.#runPeer + PEER.trustedUntil) >> 3] as number) <= this.#now);
    if (doubted) this.#relay(relay);
    if (!nowhere) udp.send(this.#runAt, this.#runBytes, this.#runSegment, endpoint, this.#runEcn);
    else if (!doubted) drops.add('out: no endpoint', this.#runDatagrams);
    this.#runAt = (this.#runAt + this.#runBytes + 64 + 15) & ~15;
    this.#runBytes = 0;
    this.#runDatagrams = 0;
  }

  /** Copies the run to the relay link's ring, and asks for a path. */
  #relay(ring: RelayRing): void {
    const { arena, slots, drops, notify } = this.#shared;
    const at = this.#runPeer;
    const peer = slots.peerOf(at);
    for (let from = 0; from < this.#runBytes; from += this.#runSegment) {
      const length = Math.min(this.#runSegment, this.#runBytes - from);
      const to = ring.reserve(length);
      if (to < 0) {
        drops.add('out: relay link busy');
        continue;
      }
      arena.u8.copyWithin(to, this.#runAt + from, this.#runAt + from + length);
      ring.commit(peer, length);
    }
    if (ring.mustTell()) notify({ type: 'relay' });
    if (this.#now - (arena.f64[(at + PEER.pathAskedAt) >> 3] as number) < PATH_ASK_INTERVAL) return;
    arena.f64[(at + PEER.pathAskedAt) >> 3] = this.#now;
    notify({ type: 'path-wanted', slot: slots.slotAt(at) });
  }
}
