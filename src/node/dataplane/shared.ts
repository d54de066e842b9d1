/**
 * What the two loops share: the tables, the ports, and the counters. Transmit and receive touch no other
 * thing in common, so that each can have a worker of its own where there are cores for it.
 */

import type { AllowedIps } from '../../protocol/wireguard/allowed-ips.ts';
import type { Arena } from './arena.ts';
import type { Drop, Event } from './commands.ts';
import type { BulkAead, Kernels, TunPort, UdpPort } from './ports.ts';
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
  readonly notify: (event: Event) => void;
}

/** Counts what was dropped, by reason. */
export class Drops {
  readonly #counts = new Map<Drop, number>();

  add(reason: Drop, count = 1): void {
    if (count > 0) this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + count);
  }

  all(): Partial<Record<Drop, number>> {
    return Object.fromEntries(this.#counts);
  }
}
