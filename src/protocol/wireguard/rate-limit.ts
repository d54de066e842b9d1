/**
 * How many handshake messages one source address may have answered while we are under load: a token bucket,
 * 20 a second and 5 at once. It is asked after mac2 has proved the address, so only real addresses fill it.
 *
 * A bucket is one number, the instant at which it is full again: each message moves it on by a twentieth of a
 * second, and may not move it further than five of these from now. So an address idle for 250 ms is like one
 * never seen, and forgotten when room is needed; with no room left, unknown addresses wait.
 *
 * An IPv6 address counts by its /64, since that is what a single host commonly commands.
 */

import { AF_INET } from '../../base/endpoint.ts';
import type { Millis } from '../../base/time.ts';
import { RATE_BURST, RATE_PER_SECOND } from './constants.ts';

/** As many as one Map holds in about 1 MB. */
const MAX_ADDRESSES = 8192;
const INTERVAL = 1000 / RATE_PER_SECOND;
const BURST = RATE_BURST * INTERVAL;

export class RateLimit {
  readonly #fullAt = new Map<number | string, number>();
  readonly #maxAddresses: number;
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor(maxAddresses: number = MAX_ADDRESSES) {
    this.#maxAddresses = maxAddresses;
  }

  /** Whether one more message from `sockaddr` (28 bytes, see base/endpoint.ts) is let through. */
  allow(sockaddr: Uint8Array, now: Millis): boolean {
    const address = addressKey(sockaddr);
    const known = this.#fullAt.get(address);
    if (known === undefined && !this.#hasRoom(now)) return false;
    const next = Math.max(known ?? 0, now) + INTERVAL;
    if (next > now + BURST) return false;
    this.#fullAt.set(address, next);
    return true;
  }

  /** Addresses held. */
  get size(): number {
    return this.#fullAt.size;
  }

  #hasRoom(now: Millis): boolean {
    if (this.#fullAt.size < this.#maxAddresses) return true;
    // Not for each refused packet: nothing that was fresh at the last sweep can have run full since.
    if (now - this.#sweptAt < INTERVAL) return false;
    this.#sweptAt = now;
    for (const [address, fullAt] of this.#fullAt) if (fullAt <= now) this.#fullAt.delete(address);
    return this.#fullAt.size < this.#maxAddresses;
  }
}

function addressKey(sockaddr: Uint8Array): number | string {
  const view = new DataView(sockaddr.buffer, sockaddr.byteOffset, sockaddr.length);
  if (view.getUint16(0, true) === AF_INET) return view.getUint32(4);
  return `${view.getUint32(8)} ${view.getUint32(12)}`;
}
