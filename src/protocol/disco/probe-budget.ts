/**
 * How many datagrams may go to the endpoints of one peer: 10 in any second, so that neither a map nor a peer
 * makes us an instrument against others. A ring of the last ten times; a spending that was over the budget
 * (a ping that a person asked for) still counts.
 */

import type { Millis } from '../../base/time.ts';
import { millis, seconds } from '../../base/time.ts';

export const PROBES_PER_SECOND = 10;
const WINDOW: Millis = seconds(1);

export class ProbeBudget {
  readonly #times: number[] = [];

  /** How many may go now. */
  left(now: Millis): number {
    while (this.#times.length > 0 && (this.#times[0] as number) + WINDOW <= now)
      this.#times.shift();
    return Math.max(0, PROBES_PER_SECOND - this.#times.length);
  }

  spend(now: Millis): void {
    this.#times.push(now);
    if (this.#times.length > PROBES_PER_SECOND) this.#times.shift();
  }

  /** When the next may go. */
  freeAt(now: Millis): Millis {
    return this.left(now) > 0 ? now : millis((this.#times[0] as number) + WINDOW);
  }
}
