/**
 * How fast one client may send: a token bucket in bytes, as one number, the instant at which it is full
 * again. A client that is over it is not read from until it has room; nothing is dropped, and TCP slows the client down.
 */

import type { Millis } from '../../base/time.ts';
import { millis } from '../../base/time.ts';

export class Budget {
  readonly #millisPerByte: number;
  readonly #burst: number;
  #fullAt = 0;

  constructor(bytesPerSecond: number, burstBytes: number) {
    this.#millisPerByte = 1000 / bytesPerSecond;
    this.#burst = burstBytes * this.#millisPerByte;
  }

  /** Whether there is room for `bytes`, which are spent then. */
  trySpend(bytes: number, now: Millis): boolean {
    const next = Math.max(this.#fullAt, now) + bytes * this.#millisPerByte;
    if (next > now + this.#burst) return false;
    this.#fullAt = next;
    return true;
  }

  /** Spends, room or not; the result is how long to wait before reading on, 0 for not at all. */
  spend(bytes: number, now: Millis): Millis {
    this.#fullAt = Math.max(this.#fullAt, now) + bytes * this.#millisPerByte;
    return millis(Math.max(0, this.#fullAt - now - this.#burst));
  }
}
