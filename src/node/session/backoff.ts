/**
 * How long to wait before the next try: from 1 s, doubling up to 30 s, by chance between half and the whole of
 * it, so that nodes whose server was away do not come back in one moment.
 */

import type { Env } from '../../base/env.ts';
import type { Millis } from '../../base/time.ts';
import { millis } from '../../base/time.ts';

const LEAST_MILLIS = 1000;
const MOST_MILLIS = 30_000;

export class Backoff {
  readonly #random: Env['random'];
  #failures = 0;

  constructor(random: Env['random']) {
    this.#random = random;
  }

  /** After a failure; at least `least`, which a server may ask for. */
  next(least: Millis = millis(0)): Millis {
    const whole = Math.min(MOST_MILLIS, 2 * LEAST_MILLIS * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 16);
    const [high = 0, low = 0] = this.#random(2);
    const chance = (high * 256 + low) / 65_536;
    return millis(Math.max(least, Math.round((whole / 2) * (1 + chance))));
  }

  /** After a success. */
  reset(): void {
    this.#failures = 0;
  }
}
