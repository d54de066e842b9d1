/**
 * What the two loops share: the tables, the ports, and the counters. Transmit and receive touch no other
 * thing in common, so that each can have a worker of its own where there are cores for it.
 */

import type { AllowedIps } from '../../protocol/wireguard/allowed-ips.ts';
import type { Arena } from './arena.ts';
import type { Drop, Event, RefusedPacket } from './commands.ts';
import type { BulkAead, Kernels, TunPort, UdpPort } from './ports.ts';
import type { RelayRing } from './relay-ring.ts';
import type { Slots } from './slots.ts';
import type { Waiting } from './waiting.ts';

export interface Shared {
  readonly arena: Arena;
  /** Native address of the arena; 0 in a simulation. */
  readonly base: number;
  readonly kernels: Kernels;
  readonly aead: BulkAead;
  readonly tun: TunPort;
  udp4: UdpPort | null;
  udp6: UdpPort | null;
  mtuBytes: number;
  readonly allowedIps: AllowedIps;
  readonly slots: Slots;
  readonly waiting: Waiting;
  readonly drops: Drops;
  /**
   * A member of a mesh: endpoints are set by the main thread alone, and what goes to a peer whose endpoint is not
   * trusted goes by the relay as well. Null: plain WireGuard, where a peer is where it was last heard.
   */
  readonly relay: RelayRing | null;
  readonly notify: (event: Event) => void;
}

/** The refused packets that are kept to be shown, and how much of each. */
const REFUSED_KEPT = 64;
const REFUSED_BYTES = 64;

/** Counts what was dropped, by reason. */
export class Drops {
  readonly #counts = new Map<Drop, number>();
  #refused: RefusedPacket[] = [];
  #refusedAt = 0;

  add(reason: Drop, count = 1): void {
    if (count > 0) this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + count);
  }

  /** A packet that was not let in: counted, and one of each ten milliseconds kept. */
  refuse(reason: Drop, peer: number, packet: Uint8Array, at: number): void {
    this.add(reason);
    if (at - this.#refusedAt < 10) return;
    this.#refusedAt = at;
    if (this.#refused.length >= REFUSED_KEPT) this.#refused.shift();
    this.#refused.push({ reason, at, peer, head: packet.slice(0, REFUSED_BYTES) });
  }

  get refused(): readonly RefusedPacket[] {
    return [...this.#refused];
  }

  all(): Partial<Record<Drop, number>> {
    return Object.fromEntries(this.#counts);
  }
}
