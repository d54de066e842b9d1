/**
 * Out: TUN -> allowed IPs -> filter (remembers the flow) -> segment -> seal -> UDP.
 *
 * After small packets several are read at once; what is sealed leaves in runs (sealed-runs.ts).
 */

import {
  TRANSPORT_HEADER_BYTES,
  TRANSPORT_LEAST_BYTES,
} from '../../protocol/wireguard/messages.ts';
import { TUN_PACKET_AT, TUN_READ_BYTES, TUN_READS, VNET_HEADER_BYTES } from './arena.ts';
import { ecnOf } from './ecn.ts';
import { EMPTY, GONE } from './ports.ts';
import { NO_PEER, Route } from './route.ts';
import { SealedRuns } from './sealed-runs.ts';
import type { Shared } from './shared.ts';
import { SuperPacket } from './super-packet.ts';

/** One wake reads at most so many packets and bytes, then lets the other direction run. */
const READS_PER_WAKE = 64;
const BYTES_PER_WAKE = 512 * 1024;

/** Several large ones at once would only push one another out of the processor's caches. */
const SMALL_BYTES = 2048;

const FULL_SUPER_PACKET = 8;

export class Transmit {
  readonly #shared: Shared;
  readonly #packetAt: number;
  readonly #super: SuperPacket;
  readonly #route: Route;
  readonly #runs: SealedRuns;
  /** Packets that the next read asks for. */
  #most = 1;
  #now = 0;

  constructor(shared: Shared) {
    this.#shared = shared;
    this.#packetAt = shared.arena.layout.tunRead + TUN_PACKET_AT;
    this.#super = new SuperPacket(shared.arena, shared.kernels);
    this.#route = new Route(shared);
    this.#runs = new SealedRuns(shared);
  }

  /** Allowed IPs have changed. */
  forgetRoute(): void {
    this.#route.forget();
  }

  /** Reads what the TUN device has, up to one wake's share; false where the device is gone. */
  drain(now: number): boolean {
    const { tun } = this.#shared;
    this.#start(now);
    let [bytes, reads] = [0, 0];
    while (reads < READS_PER_WAKE && bytes < BYTES_PER_WAKE) {
      const made = tun.read(this.#most);
      const some = this.#take(made);
      if (some > 0) this.#most = some <= SMALL_BYTES * made ? TUN_READS : 1;
      const last = tun.found[made - 1] as number;
      if (last === GONE) return false;
      if (last === EMPTY) break;
      reads += made;
      bytes += some;
    }
    this.#runs.flush();
    return true;
  }

  /** Takes what so many reads have found; its bytes. */
  #take(made: number): number {
    const { found, vnetHeader } = this.#shared.tun;
    const header = vnetHeader ? VNET_HEADER_BYTES : 0;
    let bytes = 0;
    for (let i = 0; i < made; i++) {
      const read = found[i] as number;
      if (read <= 0) break;
      bytes += read;
      this.#packet(this.#packetAt + i * TUN_READ_BYTES, read - header);
    }
    return bytes;
  }

  /** Sends what waited for a handshake; with nothing waiting and `confirm`, a keepalive that confirms the keypair. */
  release(peer: number, now: number, confirm: boolean): void {
    const { arena, slots, waiting, drops } = this.#shared;
    this.#start(now);
    const at = slots.at(peer);
    const packets = waiting.take(peer);
    if (confirm && at >= 0 && packets.length === 0) this.keepalive(at, now);
    for (const packet of packets) {
      if (at < 0 || !this.#runs.begin(at)) {
        drops.add('out: keypair worn out');
        continue;
      }
      const slot = this.#runs.reserve(packet.length, ecnOf(packet, 0));
      arena.u8.set(packet, slot + TRANSPORT_HEADER_BYTES);
      slots.markSent(at, now, this.#runs.commit(slot, packet.length), true);
    }
    this.#runs.flush();
  }

  /** Sends a packet of our own, or keeps it until there is a keypair. */
  inject(peer: number, packet: Uint8Array, now: number): void {
    const { waiting, drops, notify, slots } = this.#shared;
    const asked = waiting.has(peer);
    drops.add('out: waiting packets full', waiting.add(peer, packet));
    if (slots.hasKeypair(peer, now)) this.release(peer, now, false);
    else if (!asked) notify({ type: 'handshake-wanted', peer });
  }

  /** Sends an empty packet, if there is a keypair to seal it with. */
  keepalive(at: number, now: number): void {
    this.#start(now);
    if (!this.#runs.begin(at)) return;
    const slot = this.#runs.reserve(0, 0);
    this.#runs.commit(slot, 0);
    this.#shared.slots.markSent(at, now, TRANSPORT_LEAST_BYTES, false);
    this.#runs.flush();
  }

  get packets(): number {
    return this.#runs.packets;
  }

  #start(now: number): void {
    this.#now = now;
    this.#runs.start(now);
  }

  #packet(p: number, length: number): void {
    const { arena, kernels, tun, slots, drops } = this.#shared;
    const peer = this.#route.find(p, length);
    if (peer < 0) {
      drops.add(peer === NO_PEER ? 'out: no peer for this address' : 'out: not an IP packet');
      return;
    }
    kernels.filterOut(p, length, (this.#now / 1000) >>> 0);
    this.#super.read(p, length, tun.vnetHeader);
    const at = slots.at(peer);
    if (at < 0 || !this.#runs.begin(at)) this.#wait(peer);
    else slots.markSent(at, this.#now, this.#segments(ecnOf(arena.u8, p)), true);
  }

  /** Seals the packet's segments into runs; bytes on the wire. */
  #segments(ecn: number): number {
    const packet = this.#super;
    let sent = 0;
    for (let i = 0; i < packet.count; i++) {
      const length = packet.bytes(i);
      const slot = this.#runs.reserve(length, ecn);
      packet.write(slot + TRANSPORT_HEADER_BYTES, i);
      sent += this.#runs.commit(slot, length);
    }
    // A full super-packet fills a send by itself; a clean start keeps the receiver's batches whole.
    if (packet.count > FULL_SUPER_PACKET) this.#runs.flush();
    return sent;
  }

  /** Keeps copies of the packet's segments until there is a keypair, and asks for one. */
  #wait(peer: number): void {
    const { waiting, notify, drops, arena } = this.#shared;
    const packet = this.#super;
    const asked = waiting.has(peer);
    // The transmit buffer is empty after a flush, and serves as scratch.
    this.#runs.flush();
    const to = arena.layout.txOut;
    for (let i = 0; i < packet.count; i++) {
      packet.write(to, i);
      const copy = new Uint8Array(arena.u8.subarray(to, to + packet.bytes(i)));
      drops.add('out: waiting packets full', waiting.add(peer, copy));
    }
    if (!asked) notify({ type: 'handshake-wanted', peer });
  }
}
