/**
 * A network in memory: datagrams between endpoints, with seeded loss, duplicates and reordering. What a host
 * sends leaves at once and arrives after the delay, if at all.
 */

import type { Endpoint } from '../../src/base/endpoint.ts';
import { formatEndpoint, readSockaddr, sockaddr } from '../../src/base/endpoint.ts';
import type { Seeded } from '../seeded.ts';
import type { Clock } from './clock.ts';

export interface Weather {
  /** Per cent. */
  readonly loss: number;
  readonly duplicates: number;
  /** Per cent of datagrams that come up to `lateMillis` later. */
  readonly reorder: number;
  readonly delayMillis: number;
  readonly lateMillis: number;
}

export const FAIR: Weather = { loss: 0, duplicates: 0, reorder: 0, delayMillis: 5, lateMillis: 0 };

export type Deliver = (datagram: Uint8Array, source: Uint8Array) => void;

export class Network {
  readonly #clock: Clock;
  readonly #random: Seeded;
  readonly #hosts = new Map<string, Deliver>();
  weather: Weather = FAIR;
  /** Sees each datagram that is sent; false keeps it from the wire. */
  tap: (datagram: Uint8Array, from: string, to: string) => boolean = () => true;

  constructor(clock: Clock, random: Seeded) {
    this.#clock = clock;
    this.#random = random;
  }

  attach(endpoint: Endpoint, deliver: Deliver): () => void {
    const name = formatEndpoint(endpoint);
    this.#hosts.set(name, deliver);
    return () => this.#hosts.delete(name);
  }

  send(source: Endpoint, targetSockaddr: Uint8Array, datagram: Uint8Array): void {
    const target = readSockaddr(targetSockaddr);
    if (target === undefined) return;
    const to = formatEndpoint(target);
    if (!this.tap(datagram, formatEndpoint(source), to)) return;
    const { loss, duplicates } = this.weather;
    if (this.#random.below(100) < loss) return;
    const copies = this.#random.below(100) < duplicates ? 2 : 1;
    for (let i = 0; i < copies; i++) this.#arrive(sockaddr(source), to, datagram.slice());
  }

  #arrive(source: Uint8Array, to: string, datagram: Uint8Array): void {
    const { delayMillis, lateMillis, reorder } = this.weather;
    const late = this.#random.below(100) < reorder ? this.#random.below(lateMillis + 1) : 0;
    this.#clock.setTimer(this.#clock.now() + delayMillis + late, () =>
      this.#hosts.get(to)?.(datagram, source),
    );
  }
}
