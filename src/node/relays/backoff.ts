/**
 * How long to wait before the next try. The waits double from a quarter of a second to half a minute, and each is
 * cut to a random part of itself between a half and the whole: nodes that lost one relay together come back
 * one after the other.
 *
 *     try      2      3      4     5     6     ...   9 and later
 *     up to   0.25 s  0.5 s  1 s   2 s   4 s         30 s
 */

import type { Millis } from '../../base/time.ts';
import { millis, seconds } from '../../base/time.ts';

const FIRST_MS = 250;
const LONGEST_MS = 30_000;
/** A connection that lived this long was a good one: the next try does not wait for those before it. */
const STABLE: Millis = seconds(10);
/** So that not all clients of a relay that fell come back in one moment. */
const SPREAD: Millis = millis(250);

export interface Loss {
  /** From greeting to end. */
  readonly lived: Millis;
  /** By us, by its silence: nobody else has noticed, so there is no crowd. */
  readonly foundDead: boolean;
  /** What the relay asked for before it stopped. */
  readonly restartAfter: Millis | undefined;
}

export class Backoff {
  readonly #random: (lengthBytes: number) => Uint8Array;
  #failures = 0;

  constructor(random: (lengthBytes: number) => Uint8Array) {
    this.#random = random;
  }

  /** The wait after one more failure. */
  next(): Millis {
    const whole = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.#failures);
    if (whole < LONGEST_MS) this.#failures++;
    return this.jittered(millis(whole));
  }

  /** The wait after a connection that had greeted is lost. */
  afterLoss({ lived, foundDead, restartAfter }: Loss): Millis {
    if (lived >= STABLE) this.reset();
    if (foundDead) return millis(0);
    if (restartAfter !== undefined)
      return this.jittered(millis(Math.min(restartAfter, LONGEST_MS)));
    return lived >= STABLE ? this.jittered(SPREAD) : this.next();
  }

  /** `wait`, or a random part of it that is no less than a half. */
  jittered(wait: Millis): Millis {
    const [high = 0, low = 0] = this.#random(2);
    return millis(wait * (0.5 + (high * 256 + low) / 131_072));
  }

  reset(): void {
    this.#failures = 0;
  }
}
